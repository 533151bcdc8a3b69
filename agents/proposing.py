"""What a model proposes when it only acts: masked by rules, where model and protocol have them."""

from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3.common.base_class import BaseAlgorithm

from looplab.envs.core import Actions, Observations
from looplab.oversight.protocols.rules import ruling
from looplab.oversight.vec_wrapper import OverseenVecEnv


def propose(
    model: BaseAlgorithm, venv: OverseenVecEnv, observation: Observations, deterministic: bool
) -> Actions:
    """One proposal per lane.

    Args:
        model: who proposes.
        venv: where; a MaskablePPO reads its rules. Without rules it proposes whatever it likes.
        observation: current observations, shape (n, ...).
        deterministic: the most probable action instead of a sampled one.
    """
    masks: dict[str, Any] = {}
    if isinstance(model, MaskablePPO) and ruling(venv.oversight.protocol):
        masks["action_masks"] = venv.action_masks()
    actions: Actions = model.predict(observation, deterministic=deterministic, **masks)[0]
    return actions
