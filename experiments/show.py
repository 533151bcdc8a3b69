"""The ``show`` command: one episode of a task under a regime, drawn step by step."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from looplab.agents.loading import load
from looplab.agents.proposing import propose
from looplab.envs.core import Actions, Lanes
from looplab.envs.drawing import Frame
from looplab.envs.errors import UsageError, choice, whole
from looplab.envs.faces import RENDER_FPS
from looplab.envs.overlay import Annotation, overlay
from looplab.experiments.build import Parts, Seeds, oversee, parts
from looplab.experiments.build import lanes as build_lanes
from looplab.experiments.files import write_whole
from looplab.experiments.overrides import plan
from looplab.experiments.references import at_random
from looplab.oversight.record import Record
from looplab.oversight.types import ESCALATE
from looplab.oversight.vec_wrapper import OverseenVecEnv

#: Who proposes, where no model does.
POLICIES = ("random", "reference", "safe")
SUFFIXES = (".gif", ".png")
MAX_STEPS = 60
_RESULTS = Path("results") / "show"
#: A strip of pictures has so many columns, and so many pixels between them.
_COLUMNS, _GAP = 4, 8
_GAP_SHADE = 255
_MILLISECONDS = 1000


def show(
    words: Sequence[str],
    out: Path | None = None,
    policy: str = "random",
    model: Path | None = None,
    steps: int = MAX_STEPS,
) -> Path:
    """Plays the first steps of one episode and writes them as a GIF, or a strip of pictures (PNG).

    Args:
        words: ``key=value``, as in Hydra: env, regime, seed and so on.
        out: file that ends with .gif or .png; None: ``results/show/ENV-REGIME.gif``.
        policy: one of ``POLICIES``: who proposes.
        model: a Stable-Baselines3 file, of which only the weights are read; proposes instead.
        steps: steps at most, at least 1.

    Returns:
        The file.

    Raises:
        UsageError: for a wrong word, policy or file, or a task that cannot be drawn.
    """
    config = plan(words, sweeps=False).cells[0]
    choice("policy", policy, POLICIES)
    whole("steps", steps, 1)
    file = out or _RESULTS / f"{config['cell']['env']}-{config['cell']['regime']}.gif"
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{file} must end with {' or '.join(SUFFIXES)}")
    built = parts(config)
    lanes = drawable(config["env"])
    venv = oversee(lanes, built, Seeds.of(config["seed"]).environment)
    try:
        propose = _by_model(model, venv, built) if model else _by_policy(policy, lanes)
        frames = film(venv, lanes, propose, steps)
    finally:
        venv.close()
    return write_whole(file, animation(frames) if file.suffix.lower() == ".gif" else strip(frames))


def drawable(env: Any) -> Lanes:
    """One lane that can be drawn in pixels."""
    return build_lanes({"env": env}, 1, drawn=True)


def _by_policy(policy: str, lanes: Lanes) -> Callable[[Any], Actions]:
    if policy == "random":
        draw = at_random(lanes)
        return lambda observation: draw(lanes)

    def propose(observation: Any) -> Actions:
        actions = lanes.reference() if policy == "reference" else lanes.correction()
        if actions is None:
            raise UsageError(f"{type(lanes).__name__} knows no {policy} policy; use policy=random")
        return actions

    return propose


def _by_model(file: Path, venv: OverseenVecEnv, built: Parts) -> Callable[[Any], Actions]:
    model = load(file, venv, False)
    built.agent.probe(model, venv.oversight)

    return lambda observation: propose(model, venv, observation, deterministic=False)


def film(
    venv: OverseenVecEnv, lanes: Lanes, propose: Callable[[Any], Actions], steps: int
) -> list[Frame]:
    """Pictures of one episode, each with what oversight made of the proposal in it."""
    observation: Any = venv.reset()
    frames: list[Frame] = []
    seconds = 0.0
    actions = tuple(getattr(lanes, "ACTIONS", ())) or _numbered(lanes)
    for step in range(steps):
        picture = lanes.render(0, "rgb_array")
        observation, _, done, _ = venv.step(propose(observation))
        record = venv.oversight.last
        assert record is not None  # a step was taken
        seconds += float(record.seconds[0])
        frames.append(overlay(picture, annotation(record, actions, seconds, step)))
        if done[0]:
            break
    return frames


def _numbered(lanes: Lanes) -> tuple[str, ...]:
    """Names of discrete actions where the task gives none; nothing for continuous ones."""
    return tuple(str(action) for action in range(int(getattr(lanes.action_space, "n", 0))))


def annotation(
    record: Record, actions: Sequence[str], human_seconds: float, step: int
) -> Annotation:
    """What is drawn of lane 0 of a step."""
    risk = float(record.risk[0])
    return Annotation(
        proposed=record.proposed[0],
        executed=record.executed[0],
        actions=actions,
        risk=None if np.isnan(risk) else min(risk, 1.0),
        badge=badge(record),
        human_seconds=human_seconds,
        step=step,
        violated=bool(record.cost[0] > 0.0),
    )


def badge(record: Record) -> str:
    """Which of the overlay's badges says what became of lane 0's proposal."""
    if record.halted[0]:
        return "stopped"
    if record.alarm_pending[0] or record.unconsidered[0]:
        return "pending"
    if record.verdict[0] == ESCALATE:
        return "escalated"
    if record.intervened[0] or record.refused[0]:
        return "vetoed"
    if record.asked[0]:
        return "pending" if record.noticed[0] else "approved"
    return "watched" if record.watched[0] else "acts alone"


def animation(frames: Sequence[Frame]) -> bytes:
    """An endless GIF."""
    images = [Image.fromarray(frame) for frame in _equal(frames)]
    stream = io.BytesIO()
    pause = _MILLISECONDS // RENDER_FPS
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=pause, loop=0)
    return stream.getvalue()


def strip(frames: Sequence[Frame]) -> bytes:
    """All pictures in rows, as one PNG."""
    padded = [
        np.pad(frame, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=_GAP_SHADE)
        for frame in _equal(frames)
    ]
    columns = min(_COLUMNS, len(padded))
    blank = np.full_like(padded[0], _GAP_SHADE)
    padded += [blank] * (-len(padded) % columns)
    rows = [np.hstack(padded[at : at + columns]) for at in range(0, len(padded), columns)]
    stream = io.BytesIO()
    Image.fromarray(np.vstack(rows)).save(stream, "PNG")
    return stream.getvalue()


def _equal(frames: Sequence[Frame]) -> list[Frame]:
    """Frames of equal height: the shorter ones get white below."""
    height = max(len(frame) for frame in frames)
    return [
        np.pad(frame, ((0, height - len(frame)), (0, 0), (0, 0)), constant_values=_GAP_SHADE)
        for frame in frames
    ]
