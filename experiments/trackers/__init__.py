"""Where a run's curves and results are written besides its own folder: one file for each."""
