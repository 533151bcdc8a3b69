"""Loads anybody's Stable-Baselines3 model: its weights only, unless it is trusted.

A model file holds pickled Python beside its weights, and unpickling runs whatever it says. So the
weights are read alone (``torch.load(weights_only=True)``), the networks' shapes are read off them,
and a stock policy of that shape is filled in.
"""

import json
import math
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from looplab.agents.q_learning import QLearning
from looplab.agents.sb3 import ALGORITHMS
from looplab.envs.errors import UsageError

_WEIGHTS = "policy.pth"
_DATA = "data"
#: A parameter that tells the family, and where its policy's hidden layers are.
_FAMILIES: tuple[tuple[str, type[BaseAlgorithm], str, str | None], ...] = (
    ("q_net.q_net.0.weight", DQN, r"q_net\.q_net\.(\d+)\.weight", None),
    (
        "actor.log_std.weight",
        SAC,
        r"actor\.latent_pi\.(\d+)\.weight",
        r"critic\.qf0\.(\d+)\.weight",
    ),
    (
        "action_net.weight",
        PPO,
        r"mlp_extractor\.policy_net\.(\d+)\.weight",
        r"mlp_extractor\.value_net\.(\d+)\.weight",
    ),
)
_ON_POLICY = (PPO, MaskablePPO)
#: The parameter that tells a table of values.
_TABLE = "q_table"
#: Where the policy class of a masked model comes from, as the file's readable part names it.
_MASKABLE = "sb3_contrib.common.maskable"
_ACTIVATIONS = {c.__name__: c for c in (nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU)}


def load(path: Path, venv: Any, trust: bool = False) -> BaseAlgorithm:
    """Loads a model for acting in an environment.

    Args:
        path: the zip file that SB3's ``save`` wrote.
        venv: environment with the spaces that the model was trained on.
        trust: unpickle the whole file with SB3's own ``load``, which can run code.

    Raises:
        UsageError: if it is no such file, its networks are not plain ones, or the spaces differ.
    """
    if not path.is_file():
        raise UsageError(f"no model file at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if _WEIGHTS not in names:
                raise UsageError(f"{path} is no Stable-Baselines3 model: it holds no {_WEIGHTS}")
            with archive.open(_WEIGHTS) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of a pickle that it then refuses
                weights = torch.load(file, map_location="cpu", weights_only=True)
            data = json.loads(archive.read(_DATA)) if _DATA in names else {}
    except UsageError:
        raise
    except zipfile.BadZipFile as error:
        raise UsageError(f"{path} is no Stable-Baselines3 model: not a zip file") from error
    except (RuntimeError, ValueError, OSError, AttributeError, EOFError, ImportError) as error:
        raise UsageError(f"{path} holds no plain weights: {_one_line(error)}") from error
    except Exception as error:  # torch names no base for what weights_only refuses
        raise UsageError(f"{path} holds no plain weights: {_one_line(error)}") from error
    _check_contents(path, weights, data)
    kind, policy_layers, value_layers = _family(path, weights)
    if kind is PPO and _MASKABLE in str(data.get("policy_class")):
        kind = MaskablePPO  # its weights have the same names
    if trust:
        if _DATA not in names:
            raise UsageError(f"{path} holds no {_DATA} to unpickle; its weights need no trust=true")
        return _trusted(kind, path, venv)
    return _filled(path, kind, weights, data, policy_layers, value_layers, venv)


def begin_from(path: str | Path | None, model: BaseAlgorithm, venv: Any) -> None:
    """Lets a model begin from another's weights.

    Args:
        path: that model's file; None: it begins anew.
        model: is filled in; it must be of the same kind and shape.
        venv: environment of both.

    Raises:
        UsageError: if the file is no such model, or of another kind or shape.
    """
    if path is None:
        return
    start = load(Path(path), venv)
    if type(start) is not type(model):
        kinds = f"{type(start).__name__}, not {type(model).__name__}"
        raise UsageError(f"start_from: {path} is a model of {kinds}")
    try:
        model.policy.load_state_dict(start.policy.state_dict())
    except RuntimeError as error:
        raise UsageError(f"start_from: {path} has other networks: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0] if lines else type(error).__name__


def _check_contents(path: Path, weights: Any, data: Any) -> None:
    """Refuses parts that hold something else than what SB3 writes there."""
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no Stable-Baselines3 model: its {_DATA} is no mapping")
    named = isinstance(weights, dict) and all(isinstance(name, str) for name in weights)
    if not named or not all(isinstance(w, torch.Tensor) for w in weights.values()):
        raise UsageError(f"{path} is no Stable-Baselines3 model: its {_WEIGHTS} names no tensors")


def _family(
    path: Path, weights: dict[str, Any]
) -> tuple[type[BaseAlgorithm], list[int], list[int] | None]:
    if _TABLE in weights:
        return QLearning, [], None
    for mark, kind, policy, value in _FAMILIES:
        if mark in weights:
            return kind, _widths(weights, policy), _widths(weights, value) if value else None
    raise UsageError(
        f"{path} is not the model of a known family (PPO or A2C, DQN, SAC with MLP policies)"
    )


def _widths(weights: dict[str, Any], pattern: str) -> list[int]:
    layers = [
        (int(match[1]), int(tensor.shape[0]))
        for name, tensor in weights.items()
        if (match := re.fullmatch(pattern, name)) and tensor.ndim
    ]
    widths = [width for _, width in sorted(layers)]
    output = pattern.startswith(("q_net", "critic"))
    return widths[:-1] if output else widths


def _filled(
    path: Path,
    kind: type[BaseAlgorithm],
    weights: dict[str, Any],
    data: dict[str, Any],
    policy_layers: list[int],
    value_layers: list[int] | None,
    venv: Any,
) -> BaseAlgorithm:
    if kind is QLearning:
        return _tabulated(path, weights, venv)
    _check_space(path, kind, venv.action_space)
    architecture: Any = policy_layers
    if kind in _ON_POLICY:
        architecture = {"pi": policy_layers, "vf": value_layers}
    elif kind is SAC:
        architecture = {"pi": policy_layers, "qf": value_layers}
    settings: dict[str, Any] = {"net_arch": architecture}
    activation = _activation(data)
    if activation is not None:
        settings["activation_fn"] = activation
    make: Any = kind
    model: BaseAlgorithm = make(
        "MlpPolicy", venv, device="cpu", policy_kwargs=settings, **_small(kind)
    )
    _fill(path, model, weights, venv)
    return model


def _tabulated(path: Path, weights: dict[str, Any], venv: Any) -> QLearning:
    """A table with the rows that the file names."""
    _check_space(path, QLearning, venv.action_space)
    rows = weights.get("observations", torch.empty(0))
    width = math.prod(venv.observation_space.shape)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != width:
        raise UsageError(f"{path} does not fit this environment ({venv.observation_space})")
    model = QLearning("TablePolicy", venv, policy_kwargs={"observations": rows.numpy()})
    _fill(path, model, weights, venv)
    model.epsilon = float(model.policy.epsilon)
    return model


def _fill(path: Path, model: BaseAlgorithm, weights: dict[str, Any], venv: Any) -> None:
    """Puts a file's weights into a model of their shape."""
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UsageError(f"{path} holds weights that are not finite: {broken[0]}")
    try:
        model.policy.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"{path} does not fit this environment ({venv.observation_space}, {venv.action_space}) "
            f"or has no plain MLP policy: {_mismatch(error)}"
        ) from error


def _small(kind: type[BaseAlgorithm]) -> dict[str, Any]:
    """Settings of a model that will only act: no memory for learning."""
    return {} if kind in _ON_POLICY else {"buffer_size": 1}


def _mismatch(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[1] if len(lines) > 1 else lines[0]
    first, *more = line.split(", ", maxsplit=1) if "key(s)" in line else [line]
    return f"{first}, and others" if more else first


def _activation(data: dict[str, Any]) -> type[nn.Module] | None:
    """Activation that the file's readable part names; None where it names none."""
    settings = data.get("policy_kwargs")
    named = str(settings.get("activation_fn", "")) if isinstance(settings, dict) else ""
    if not named:
        return None
    match = re.search(r"activation\.(\w+)'", named)
    if match is None or match[1] not in _ACTIVATIONS:
        raise UsageError(
            f"the model's activation {named} is not one of {', '.join(sorted(_ACTIVATIONS))}; "
            "load it with trust=true if you trust the file"
        )
    return _ACTIVATIONS[match[1]]


def _check_space(path: Path, kind: type[BaseAlgorithm], space: gym.Space[Any]) -> None:
    spaces = {known: fit for known, fit in ALGORITHMS.values()}[kind]
    if not isinstance(space, spaces):
        raise UsageError(f"{path} is a {kind.__name__} model and cannot act in {space}")


def _trusted(kind: type[BaseAlgorithm], path: Path, venv: Any) -> BaseAlgorithm:
    try:
        model: BaseAlgorithm = kind.load(path, env=venv, device="cpu")
    except ValueError as error:
        raise UsageError(f"{path} does not fit this environment: {_one_line(error)}") from error
    except Exception as error:  # whatever the file's own code may raise
        raise UsageError(
            f"{path} cannot be unpickled: {type(error).__name__}: {_one_line(error)}"
        ) from error
    return model
