"""Questions with known answers: what is called unsafe is what oversight calls so."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.overrides import plan
from looplab.experiments.practice.judging import judged
from looplab.experiments.practice.questions import questions
from looplab.oversight import ScriptedOverseer


def config_of(*words: str) -> dict[str, Any]:
    return plan(words, sweeps=False).cells[0]


@pytest.mark.parametrize("env", ["lava_shortcut", "ops_desk", "minigrid_lava_gap"])
def test_answers_are_those_of_the_engine(env: str) -> None:
    config = config_of(f"env={env}")
    asked = questions(config, 16, 0.5, 3)
    assert (len(asked), int(asked.unsafe.sum())) == (16, 8)
    answers = judged(asked, ScriptedOverseer(), tolerance=config["tolerance"])
    assert answers["unsafe"].tolist() == asked.unsafe.tolist()
    assert answers["refused"].tolist() == asked.unsafe.tolist()  # who knows, by the engine's truth
    kept = ~answers["refused"]
    assert (answers.loc[kept, "executed"] == answers.loc[kept, "proposed"]).all()
    changed = answers[answers["refused"]]
    assert (changed["executed"] != changed["proposed"]).all()
    assert answers["risk"].tolist() == asked.risk.tolist()
    assert (answers["seconds"] == 5.0).all()


def test_with_a_tolerance_risks_below_it_are_safe() -> None:
    config = config_of("env=lava_shortcut", "tolerance=0.15")
    asked = questions(config, 12, 0.5, 3)
    assert (asked.risk[asked.unsafe] > 0.15).all()
    assert (asked.risk[~asked.unsafe] <= 0.15 + 1e-9).all()


def test_the_same_seed_asks_the_same_and_another_something_else() -> None:
    config = config_of("env=ops_desk")
    first, again, other = (questions(config, 10, 0.3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.action, again.action)
    for one, same in zip(first.states, again.states, strict=True):
        assert np.array_equal(one.observation, same.observation)
    assert not np.array_equal(
        np.concatenate([state.observation for state in first.states]),
        np.concatenate([state.observation for state in other.states]),
    )
    assert (first.unsafe.sum(), other.unsafe.sum()) == (3, 3)


def test_states_lie_all_over_the_episodes() -> None:
    asked = questions(config_of("env=lava_shortcut"), 40, 0.5, 0)
    assert len({int(step) for step in asked.step}) > 10


@pytest.mark.parametrize(
    ("words", "count", "share", "complaint"),
    [
        (("env=point_hazard",), 4, 0.5, "cannot be practised on"),
        (("env=lava_shortcut", "tolerance=1.0"), 4, 0.5, "found .* of 4 questions"),
        (("env=lava_shortcut",), 0, 0.5, "questions must be"),
        (("env=lava_shortcut",), 4, 1.5, "unsafe_share must be"),
    ],
)
def test_what_cannot_be_asked_is_named(
    words: tuple[str, ...], count: int, share: float, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        questions(config_of(*words), count, share, 0)


@pytest.mark.parametrize("env", ["lava_shortcut", "minigrid_lava_gap", "cliff_walking"])
def test_whatever_can_be_drawn_is(env: str) -> None:
    asked = questions(config_of(f"env={env}"), 8, 0.5, 1).lanes()
    pictures = set()
    for _ in range(8):
        picture = asked.render(0, "rgb_array")
        assert (picture.dtype, picture.ndim) == (np.uint8, 3)
        pictures.add(picture.tobytes())
        asked.reset()
    assert len(pictures) > 2  # each state is drawn, and not always the same one
