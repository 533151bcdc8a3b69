"""Trying a step out in MuJoCo and taking it back, bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def taken_back(world: Any) -> Iterator[None]:
    """Restores all that the next step depends on: what MuJoCo calls its integration state.

    Args:
        world: a MuJoCo environment of Gymnasium, with ``model`` and ``data``.
    """
    import mujoco

    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(world.model, kind))
    mujoco.mj_getState(world.model, world.data, state, kind)
    try:
        yield
    finally:
        mujoco.mj_setState(world.model, world.data, state, kind)
        mujoco.mj_forward(world.model, world.data)
        # mj_forward warms the solver anew: what it started from is put back.
        mujoco.mj_setState(world.model, world.data, state, kind)
