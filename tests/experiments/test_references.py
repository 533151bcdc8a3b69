"""What returns are measured against, and the list of environments that shows it."""

import json

import numpy as np
import pytest

from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments import solving
from looplab.experiments.env_cards import card_of, gymnasium_id, list_envs
from looplab.experiments.references import Value, at_random, exact_values, returns, task_values
from looplab.experiments.solving import native_presets

#: Four standard errors: one test in 16 000 fails by chance; the seeds are fixed.
MARGIN = 4.0


def test_exact_values_of_the_lava_shortcut() -> None:
    values, exact = task_values("lava_shortcut")
    assert exact
    assert values["reference"].mean == pytest.approx(0.517, abs=0.0005)
    assert values["safe"].mean == pytest.approx(0.194, abs=0.0005)
    assert values["safe"].violations_per_1k == 0.0
    assert values["reference"].violations_per_1k > 20.0


@pytest.mark.parametrize("name", ["random", "safe"])
def test_rollouts_agree_with_exact_values(name: str) -> None:
    lanes = LavaShortcut(100)
    exact = exact_values(lanes.model(), lanes.max_episode_steps)[name]
    policy = at_random(lanes) if name == "random" else lambda lanes: lanes.correction()
    played = returns(lanes, policy, episodes=2000)
    error = (played.high - played.low) / (2 * 1.96)
    slack = 0.02 if name == "safe" else 0.0  # the correction is the discounted optimum
    assert abs(played.mean - exact.mean) < MARGIN * error + slack
    assert played.violations_per_1k == pytest.approx(exact.violations_per_1k, abs=2.0)


def test_every_lane_plays_equally_many_episodes() -> None:
    lanes = LavaShortcut(7)
    asked = returns(lanes, at_random(lanes), episodes=15)
    assert lanes.episode.min() >= 3  # two were wanted of each: 0, 1, 2
    assert asked == returns(lanes, at_random(lanes), episodes=15)


def test_a_score_is_the_share_of_the_way_from_random(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    def trained(config: dict[str, object]) -> tuple[pd.DataFrame, float]:
        episodes = {"task_return": [8.0, 10.0], "violations": [1, 0], "length": [250, 250]}
        return pd.DataFrame(episodes), 3.0 + float(config["seed"])  # type: ignore[arg-type]

    monkeypatch.setattr(solving, "_trained", trained)
    values = {"random": Value(-1, -1, -1, 0.0), "reference": Value(11, 11, 11, 0.0)}
    found = solving.solve("lava_shortcut", values, seeds=3)
    assert found.score == pytest.approx(10 / 12)
    assert found.violations_per_1k == pytest.approx(2.0)
    assert found.cpu_seconds == 4.0
    assert found.agent == "ppo"


@pytest.mark.slow
def test_an_agent_solves_the_lava_shortcut() -> None:
    values, _ = task_values("lava_shortcut")
    assert solving.solve("lava_shortcut", values, seeds=1).score >= solving.SOLVED


def test_every_native_task_has_a_card_an_id_and_measured_returns() -> None:
    from looplab.experiments.references import references

    names = native_presets()
    assert len(names) >= 16
    for name in names:
        assert card_of(name) is not None, name
        assert gymnasium_id(name) is not None, name
        measured = references()[name]
        assert measured["reference"]["mean"] > measured["random"]["mean"], name
        assert np.isfinite(measured["solved"]["score"]), name


def test_the_list_says_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    list_envs(print)
    text = capsys.readouterr().out
    assert "lava_shortcut  (looplab/LavaShortcut-v0)" in text
    assert "oracle: dynamic programming" in text
    assert "optimum 0.5175 (46.0 violations per 1k)" in text
    assert "safe optimum 0.1941 (0.0 violations per 1k)" in text


def test_recorded_exact_values_are_those_of_today() -> None:
    from looplab.experiments.references import FILE

    for name, recorded in json.loads(FILE.read_text(encoding="utf-8")).items():
        if recorded["exact"]:
            values, _ = task_values(name)
            for policy in ("random", "reference", "safe"):
                assert recorded[policy]["mean"] == pytest.approx(values[policy].mean, abs=1e-3), (
                    name
                )
