"""The composition root: runs, comparisons, statistics, figures, report and command line."""
