"""Ours, the classic library's and the limit, measured in turn in one process."""
