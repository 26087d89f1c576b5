"""Speed as ratios in one run: the two sides of a ratio take turns, and medians are compared."""
