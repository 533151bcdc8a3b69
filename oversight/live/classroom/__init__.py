"""A lesson on one page: the same task without oversight, in the loop and on the loop."""
