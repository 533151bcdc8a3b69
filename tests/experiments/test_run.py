"""What one run leaves behind, and that it counts what happened."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from stable_baselines3 import PPO

from looplab.envs.errors import EnvironmentFault
from looplab.experiments.overrides import plan
from looplab.experiments.run import run
from looplab.experiments.store import identity

#: Files of a run, and columns of its episodes, as the design names them.
FILES = {
    "config.yaml", "provenance.json", "episodes.parquet", "decisions.parquet", "model.zip",
    "metrics.json", "tensorboard",
}  # fmt: skip
COLUMNS = [
    "env", "regime", "algo", "seed", "phase", "policy", "lane", "episode", "end_step", "length",
    "task_return", "learning_return", "cost", "violations", "catastrophes", "unsafe_proposals",
    "reviews", "interventions", "misses", "unasked", "late", "false_alarms", "human_seconds",
    "oversight_cost", "success",
]  # fmt: skip
#: Counts of the metrics, and the column of decisions that each one counts.
COUNTED = {
    "unsafe_proposals": "unsafe", "reviews": "reviewed", "interventions": "intervened",
    "misses": "miss", "unasked": "unasked", "late": "late", "false_alarms": "false_alarm",
    "violations": "violated",
}  # fmt: skip
SUMS = {
    "human_seconds": "seconds", "cost": "cost", "task_return": "reward",
    "learning_return": "learning_reward",
}  # fmt: skip
#: Regimes in which every one of the counts is above 0 somewhere.
REGIMES = {
    "in_the_loop": (
        "signal=penalty", "trigger=audit", "trigger.probability=0.7", "fee_per_review=0.5",
        "overseer.miss_rate=0.3", "overseer.false_alarm_rate=0.2",
    ),
    "on_the_loop": ("protocol.vigilance=0.6", "protocol.lag=2"),
    "feedback": (),
}  # fmt: skip

Make = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path, tiny: Sequence[str]) -> Make:
    """A function that executes a tiny run and returns its folder."""

    def make(*words: str, name: str = "run") -> Path:
        keys = [word.split("=")[0] for word in words]
        short = [word for word in tiny if word.split("=")[0] not in keys]
        config = plan([*words, *short], sweeps=False).cells[0]
        run(config, tmp_path / name)
        return tmp_path / name

    return make


def episodes_of(folder: Path, phase: str | None = None) -> pd.DataFrame:
    frame = pd.read_parquet(folder / "episodes.parquet")
    return frame if phase is None else frame[frame["phase"] == phase]


def decisions_of(folder: Path) -> pd.DataFrame:
    frame = pd.read_parquet(folder / "decisions.parquet")
    return frame.assign(violated=frame["cost"] > 0)


def metrics_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_a_run_leaves_what_the_design_names(made: Make) -> None:
    folder = made("env=ops_desk", "regime=in_the_loop", "seed=3")
    assert {path.name for path in folder.iterdir()} == FILES
    events = list((folder / "tensorboard").iterdir())
    assert [path.name.startswith("events.out.tfevents") for path in events] == [True]
    frame = episodes_of(folder)
    assert [name for name in COLUMNS if name not in frame] == []
    assert set(frame["env"]) == {"ops_desk"}
    assert set(frame["regime"]) == {"in_the_loop"}
    assert set(frame["algo"]) == {"ppo"}
    assert set(frame["seed"]) == {3}
    config = yaml.safe_load((folder / "config.yaml").read_text())
    words = ["env=ops_desk", "regime=in_the_loop", "seed=3", "total_steps=800", "agent.lanes=4"]
    asked = plan([*words, "eval_episodes=4"], sweeps=False).cells[0]
    assert identity(config) == identity(asked)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert {"versions", "commit", "machine", "created", "python"} <= set(provenance)
    model = PPO.load(folder / "model.zip", device="cpu")
    assert model.num_timesteps == metrics_of(folder)["steps"] == 800


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("env", ["ops_desk", "lava_shortcut"])
def test_totals_equal_a_recount(env: str, regime: str, made: Make) -> None:
    folder = made(f"env={env}", f"regime={regime}", *REGIMES[regime], "total_steps=1600")
    decisions, totals = decisions_of(folder), metrics_of(folder)["totals"]
    assert len(decisions) == totals["steps"] == metrics_of(folder)["steps"] == 1600
    for name, column in COUNTED.items():
        assert totals[name] == decisions[column].sum(), name
    for name, column in SUMS.items():
        assert totals[name] == pytest.approx(decisions[column].sum(), rel=1e-5, abs=1e-4), name
    hours, fee = totals["human_seconds"] / 3600, 0.5 if regime == "in_the_loop" else 0.0
    assert totals["oversight_cost"] == pytest.approx(30 * hours + fee * totals["reviews"])
    seen = {"in_the_loop": ("misses", "unasked", "false_alarms"), "on_the_loop": ("late", "misses")}
    for name in (*seen.get(regime, ("reviews",)), "violations", "unsafe_proposals"):
        assert totals[name] > 0, name


@pytest.mark.parametrize("regime", REGIMES)
def test_episodes_equal_a_recount_of_their_decisions(regime: str, made: Make) -> None:
    folder = made("env=lava_shortcut", f"regime={regime}", *REGIMES[regime])
    train = episodes_of(folder, "train").set_index(["lane", "episode"]).sort_index()
    groups = decisions_of(folder).groupby(["lane", "episode"])
    unfinished = groups.size().drop(train.index)
    assert unfinished.index.get_level_values("lane").is_unique
    np.testing.assert_array_equal(train["length"], groups.size().loc[train.index])
    for name, column in COUNTED.items():
        recount = groups[column].sum().loc[train.index]
        np.testing.assert_array_equal(train[name], recount, err_msg=name)
    for name, column in SUMS.items():
        recount = groups[column].sum().loc[train.index]
        np.testing.assert_allclose(train[name], recount, rtol=1e-5, atol=1e-4, err_msg=name)
    assert train["length"].sum() <= metrics_of(folder)["steps"]


def test_end_steps_count_the_steps_of_all_lanes(made: Make) -> None:
    train = episodes_of(made("env=ops_desk"), "train")  # every episode lasts 50 steps
    assert sorted(train["end_step"]) == [end for end in (200, 400, 600, 800) for _ in range(4)]
    assert train["lane"].tolist() == [0, 1, 2, 3] * 4


@pytest.mark.parametrize(("asked", "ran"), [(800, 800), (801, 804), (3, 4), (1, 4), (2200, 2200)])
def test_a_run_is_as_long_as_it_was_asked_to_be(asked: int, ran: int, made: Make) -> None:
    folder = made("env=ops_desk", f"total_steps={asked}", "agent.settings.n_steps=64")
    assert metrics_of(folder)["steps"] == len(decisions_of(folder)) == ran


def test_the_same_seed_gives_the_same_files(made: Make) -> None:
    words = ("env=ops_desk", "regime=on_the_loop", "overseer.miss_rate=0.2")
    one, same = made(*words, "seed=5", name="one"), made(*words, "seed=5", name="same")
    other = made(*words, "seed=6", name="other")
    for name in ("episodes.parquet", "decisions.parquet"):
        assert (one / name).read_bytes() == (same / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()
    columns = ["task_return", "violations", "interventions"]
    assert not episodes_of(one)[columns].equals(episodes_of(other)[columns])
    first, second = (PPO.load(place / "model.zip", device="cpu") for place in (one, same))
    for ours, theirs in zip(first.policy.parameters(), second.policy.parameters(), strict=True):
        assert (ours == theirs).all()


def test_progress_adds_up_to_the_steps(tmp_path: Path, tiny: Sequence[str]) -> None:
    told: list[int] = []
    run(plan([*tiny], sweeps=False).cells[0], tmp_path / "run", told.append)
    assert sum(told) == 800


def test_a_sample_of_decisions_holds_whole_episodes_and_totals_stay_exact(made: Make) -> None:
    words = ("env=ops_desk", "regime=in_the_loop", "total_steps=4000")
    whole, part = made(*words, name="all"), made(*words, "max_decisions=1000", name="part")
    assert metrics_of(part)["totals"] == metrics_of(whole)["totals"]
    pd.testing.assert_frame_equal(episodes_of(part), episodes_of(whole))
    sizes = decisions_of(part).groupby(["lane", "episode"]).size()
    assert set(sizes) == {50}
    assert 400 <= sizes.sum() <= 2000
    none = made(*words, "max_decisions=0", name="none")
    assert len(decisions_of(none)) == 0
    assert metrics_of(none)["totals"] == metrics_of(whole)["totals"]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("task", "what"),
    [
        ("NanReward", "a reward that is not finite"),
        ("NanObservation", "an observation that is not finite"),
        ("NegativeCost", "cost"),
    ],
)
def test_a_broken_environment_is_named_with_lane_and_step(
    task: str, what: str, looplab: Callable[..., Any], tmp_path: Path, tiny: Sequence[str]
) -> None:
    ended = looplab("train", "regime=in_the_loop", f"env._target_=broken.{task}", *tiny)
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert what in line
    assert "in lane 2 at step 29 of episode 1" in line  # all three count from 0
    assert list((tmp_path / "results" / "train").iterdir()) == []


@pytest.mark.usefixtures("broken")
def test_a_broken_environment_raises_a_named_error(made: Make) -> None:
    with pytest.raises(EnvironmentFault, match="lane 2"):
        made("env._target_=broken.NanReward")


def test_what_teachers_said_of_pairs_is_written(made: Make) -> None:
    folder = made("protocol=comparisons", "protocol.every=20", "regime=feedback")
    pairs = pd.read_parquet(folder / "preferences.parquet")
    assert len(pairs) > 0
    assert {"label", "first_reward", "second_observation"} <= set(pairs.columns)
    decisions = json.loads((folder / "metrics.json").read_text())["totals"]
    assert decisions["reviews"] == len(pairs)


def test_a_run_tells_waits_calibration_and_when_it_drifts(made: Make) -> None:
    folder = made(
        "env=ops_desk", "env.drift={parameter:danger_factor,value:2.0,at_step:50}",
        "regime=in_the_loop", "overseer=typical",
    )  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["drift_step"] == 50 * 4
    assert 2.0 < metrics["waits"]["p50"] < metrics["waits"]["p95"]
    assert set(metrics["calibration"]) == {"risk", "confidence"}
    assert 0.0 <= metrics["calibration"]["risk"]["error"] <= 1.0


def test_metrics_tell_what_catch_trials_found(made: Make) -> None:
    folder = made("regime=in_the_loop", "overseer=catch_trials", "overseer.probability=1.0")
    (found,) = json.loads((folder / "metrics.json").read_text())["catch_trials"]
    assert found["trials"] > 10
    assert -6.0 < found["criterion"] < 6.0
    assert found["d_prime"] > 0.0
    assert 0.0 < found["unsafe_trials"] < found["trials"]
    folder = made(
        "regime=in_the_loop", "overseer=catch_trials", "overseer.probability=1.0",
        "overseer.unsafe_share=0.0", name="safe_only",
    )  # fmt: skip
    (found,) = json.loads((folder / "metrics.json").read_text())["catch_trials"]
    assert found["trials"] > 10
    assert found["unsafe_trials"] == 0.0
    assert found["d_prime"] is None
    folder = made("regime=in_the_loop", name="untested")
    assert json.loads((folder / "metrics.json").read_text())["catch_trials"] == []
