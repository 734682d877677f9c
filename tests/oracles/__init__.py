"""Other programs as oracles: what they read of our files, and what we read of theirs."""
