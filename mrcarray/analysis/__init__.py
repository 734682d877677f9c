"""Analysis of files that are open: statistics over blocks, histograms, differences, plots, header reports."""
