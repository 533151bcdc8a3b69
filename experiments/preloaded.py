"""What processes are forked with: importing this module imports what runs and figures need.

Nothing here may start a thread: a fork copies only the one that forks.
"""

import gc
import os
from importlib import import_module

#: The longest to import first; ``torch._dynamo`` is what the first optimiser would import.
MODULES = (
    "torch",
    "looplab.experiments.figures",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "torch._dynamo",
    "looplab.experiments.run",
    "looplab.experiments.trials.training",
    "looplab.experiments.trackers.tracking",
)
_parent = os.getppid()
for _name in MODULES:
    if os.getppid() != _parent:
        raise SystemExit  # whoever wanted it is gone
    import_module(_name)
gc.freeze()  # what is here stays: collecting garbage need not look at it again in every process
