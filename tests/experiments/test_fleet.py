"""The fleet command: its words, table, answers and files."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from stable_baselines3 import DQN, PPO, SAC

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.sb3 import Agent
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.worlds.point_hazard import PointHazard
from looplab.experiments.completion import completions
from looplab.experiments.fleet import run_fleet
from looplab.experiments.fleet_policy import at_random, by_model
from looplab.experiments.fleet_study import Asked, Study, asked, defaults, duration
from looplab.experiments.fleet_table import answers, enough, summarise, tables, targets_of
from looplab.oversight.fleet import Exponential, Fixed, Lognormal

SHORT = ("horizon_seconds=1200", "warmup_seconds=200", "seeds=3")
FILES = {"fleet.csv", "runs.csv", "fleet.png", "fleet.pdf", "config.yaml", "provenance.json"}


@pytest.fixture(scope="module")
def plain() -> Asked:
    """What is asked for where nothing is said."""
    return asked([])


def study(*words: str) -> Study:
    return Study(asked([*words, *SHORT]))


def runs(*words: str, seeds: int = 1) -> pd.DataFrame:
    built = study(*words)
    rows = [built.row(fleet, seed) for fleet in built.fleets for seed in range(seeds)]
    return pd.DataFrame(rows)


# The command


def test_it_answers_how_many_reviewers_are_enough(
    looplab: Callable[..., Any], tmp_path: Path
) -> None:
    words = ("agents=10,30", "reviewers=5,1,2", "target_wait_p95=20", *SHORT)
    ended = looplab("fleet", "env=lava_shortcut", "regime=in_the_loop", *words)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[-1] == "results: results/fleet/lava_shortcut-in_the_loop"
    said = "reviewers can keep the 95th percentile of waiting within 20 s"
    assert lines[-3].startswith(f"10 agents: 2 {said} (5")
    assert "; 1 reviewer cannot (2" in lines[-3]
    assert lines[-2].startswith(f"30 agents: 5 {said} (")
    assert lines[-2].endswith("none between was tried")
    folder = tmp_path / "results" / "fleet" / "lava_shortcut-in_the_loop"
    assert {file.name for file in folder.iterdir()} == FILES
    table = pd.read_csv(folder / "fleet.csv")
    assert table[["agents", "reviewers"]].to_numpy().tolist() == [
        [agents, reviewers] for agents in (10, 30) for reviewers in (1, 2, 5)
    ]
    assert set(table["seeds"]) == {3}
    assert (table["utilisation_low"] <= table["utilisation"]).all()
    assert table["cost_per_hour"].tolist() == [30.0, 60.0, 150.0] * 2
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert (settings["seeds"], settings["fleet"]["reviewers"]) == ([0, 1, 2], [5, 1, 2])
    assert len(pd.read_csv(folder / "runs.csv")) == 18


def test_equal_words_give_equal_files(tmp_path: Path) -> None:
    words = ["agents=4", "reviewers=1,2", "waiting=non_blocking", "trigger=risk", *SHORT]
    first, second = (
        run_fleet([*words, f"out={tmp_path / name}"], lambda line: None) for name in "ab"
    )
    for name in ("fleet.csv", "runs.csv", "fleet.png", "fleet.pdf"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    seeds = pd.read_csv(first / "runs.csv")["requests_per_hour"][:3]
    assert seeds.nunique() == 3


def test_seeds_are_given_as_one_or_as_many() -> None:
    for word, seeds in (
        ("seed=4", (4,)), ("seed=4,2", (4, 2)), ("seeds=2", (0, 1)),
    ):  # fmt: skip
        assert asked([word]).seeds == seeds


def test_where_nothing_is_said_people_are_asked(plain: Asked) -> None:
    assert plain.config["cell"]["regime"] == "in_the_loop"
    assert len(Study(plain).fleets) == len(defaults()["reviewers"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reviewers=0"], "reviewers must be a whole number of at least 1, got 0"),
        (["agents=[]"], "agents names no number"),
        (["think_seconds=-1"], "think_seconds must be a number at least 0, got -1"),
        (["wating=blocking"], "unknown key 'wating'; did you mean 'waiting'?"),
        (["think.seconds=1"], "unknown key 'think.seconds'; did you mean 'think_seconds'?"),
        (["env=taxy"], "unknown env 'taxy'; did you mean 'taxi'?"),
        (["env.slipp=0"], "unknown key 'env.slipp'; did you mean 'env.slip'?"),
        (["waiting=non_blocking", "agents=500"], "500 agents that do not wait ask for 83.3 revie"),
        (["waiting=non_blocking", "fallback=halt"], "need a fallback that runs"),
        (["regime=on_the_loop"], "needs a gate such as regime=in_the_loop"),
        (["protocol.world=running"], "a fleet's agents go on with waiting=non_blocking"),
        (["overseer=look_ahead"], "scripted or simulated humans, not LookAheadOverseer"),
        (["trigger=confidence"], "reads the policy's probabilities: give model="),
        (["env=lava_shortcut,ops_desk"], "a fleet sweeps agents and reviewers"),
        (["think_seconds=1,2"], "think_seconds cannot be swept"),
        (["total_steps=9"], "total_steps means nothing to a fleet"),
        (["seed=1", "seeds=2"], "seeds is given twice"),
        (["seed=-1"], "must be a whole number of at least 0, got -1"),
        (["target_overdue=2"], "target_overdue must be a number in [0, 1], got 2"),
    ],
)
def test_bad_words_are_refused_in_one_line(
    words: Sequence[str], said: str, refused: Callable[..., str]
) -> None:
    assert said in refused("fleet", *words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agents": 0}, "agents must be a whole number of at least 1, got 0"),
        ({"agents": 2.5}, "agents must be a whole number"),
        ({"think": "fixed", "think_seconds": 0}, "think must take more than 0 seconds"),
        ({"think": "expo"}, "unknown think 'expo'; did you mean 'exponential'"),
        ({"think_seconds": None}, "think=exponential needs think_seconds"),
        ({"think_p95": 60}, "think_p95 and think=lognormal go together"),
        ({"service": "lognormal", "service_seconds": 3}, "service_p95 and service=lognormal go"),
        ({"service": "lognormal", "service_seconds": 3, "service_p95": 2}, "service_p95 must be"),
        ({"service_seconds": 3}, "service_seconds and service_p95 need service=fixed"),
        ({"patience_seconds": 3}, "patience_seconds and patience_p95 need patience=fixed"),
        ({"deadline_seconds": -1}, "deadline_seconds must be a number at least 0, got -1"),
        ({"waiting": "block"}, "unknown waiting 'block'; did you mean 'blocking'"),
        ({"priority": "lifo"}, "unknown priority 'lifo'; did you mean 'fifo'"),
        ({"late": "never"}, "unknown late 'never'"),
        ({"policy": "rand"}, "unknown policy 'rand'; did you mean 'random'"),
        ({"model": "none.zip"}, "no model file at none.zip"),
        ({"trust": 1, "model": "a.zip"}, "trust must be true or false, got 1"),
        ({"horizon_seconds": 10}, "horizon_seconds must be above warmup_seconds"),
        ({"overload": "perhaps"}, "overload must be true or false, got 'perhaps'"),
    ],
)
def test_bad_values_are_refused(plain: Asked, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Study(replace(plain, own={**plain.own, **change}))


def test_a_policy_that_the_task_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError, match="knows no reference policy; use policy=random"):
        study("policy=reference", "env=minigrid_lava_gap")


def test_what_only_the_run_shows_is_refused_too(
    refused: Callable[..., str], looplab: Callable[..., Any], tmp_path: Path
) -> None:
    words = (
        "fleet", "waiting=non_blocking", "trigger=audit", "trigger.probability=0.9", "agents=20",
        "reviewers=1", "service=fixed", "service_seconds=9", "seed=0", *SHORT[:2], "display=none",
    )  # fmt: skip
    assert "20 agents that do not wait ask for" in refused(*words)
    assert list(tmp_path.iterdir()) == []
    ended = looplab(*words, "overload=true")
    assert "even 1 reviewer cannot keep the 95th percentile" in ended.out


def test_what_the_task_breaks_is_a_failure(broken: None, looplab: Callable[..., Any]) -> None:
    for name in ("NanReward", "NegativeCost"):
        ended = looplab(
            "fleet", f"env._target_=broken.{name}", *SHORT, "agents=5", "think_seconds=5"
        )
        assert ended.status == 1
        assert "in lane 2; both must be finite, and a cost at least 0" in ended.err


# Words


def test_times_are_read_as_distributions() -> None:
    own = {"think": "lognormal", "think_seconds": 8, "think_p95": 30}
    assert duration("think", own) == Lognormal(8.0, 30.0)
    assert duration("think", {**own, "think_p95": None, "think": "fixed"}) == Fixed(8.0)
    assert duration("think", {**own, "think_p95": None, "think": "exponential"}) == Exponential(8.0)
    assert duration("think", dict.fromkeys(own)) is None
    own = {"service": "overseer", "service_seconds": None, "service_p95": None}
    assert duration("service", own, "overseer") is None


def test_the_gate_of_the_regime_is_the_fleets() -> None:
    words = ("protocol.deadline_seconds=7", "protocol.timeout=open", "waiting=non_blocking")
    fleet = study(*words, "priority=class", "urgent_share=0.5", "patience=fixed",
                  "patience_seconds=3").fleets[0]  # fmt: skip
    assert (fleet.deadline_seconds, fleet.fails_open, fleet.patience) == (7.0, True, Fixed(3.0))
    assert (fleet.waiting, fleet.priority, fleet.urgent_share) == ("non_blocking", "class", 0.5)
    assert (
        study("protocol.deadline_seconds=7", "deadline_seconds=3").fleets[0].deadline_seconds == 3
    )


def test_its_keys_are_completed_for_it_alone() -> None:
    assert completions("revi", (), "fleet") == ["reviewers="]
    assert completions("revi", (), "train") == []
    assert completions("target_", (), "fleet") == ["target_overdue=", "target_wait_p95="]
    assert completions("env=lava", (), "fleet") == ["env=lava_shortcut"]


# What comes of it


def test_more_reviewers_wait_less_and_cost_more() -> None:
    cells = summarise(runs("agents=30", "reviewers=1,2,4,8", "fee_per_review=0.1", seeds=2))
    assert (np.diff(cells["wait_p95"]) <= 0).all()
    assert (np.diff(cells["utilisation"]) <= 0).all()
    assert (np.diff(cells["relative_throughput"]) >= 0).all()
    assert (np.diff(cells["cost_per_hour"]) > 0).all()
    paid = 30.0 * cells["reviewers"] + 0.1 * cells["reviews_per_hour"]
    assert cells["cost_per_hour"].to_numpy() == pytest.approx(paid.to_numpy())


def test_errors_and_regimes_reach_the_agents() -> None:
    alike = ("env=ops_desk", "agents=20", "reviewers=20")
    alone = runs(*alike, "regime=autonomous")
    assert alone["requests_per_hour"].eq(0.0).all()
    perfect, blind = runs(*alike), runs(*alike, "overseer.miss_rate=1")
    assert perfect["violations_per_1k"].eq(0.0).all()
    assert (blind["violations_per_1k"] > 20.0).all()
    assert (alone["violations_per_1k"] > 20.0).all()
    silent = runs(*alike[:2], "reviewers=1", "deadline_seconds=8", "protocol.timeout=open")
    assert (silent["violations_per_1k"] > 5.0).all()
    assert (silent["overdue"] > 0.1).all()


def test_reviews_last_as_long_as_the_overseers_unless_told() -> None:
    for words, seconds in (
        (("overseer.review_seconds=7",), 7.0),
        (("service=fixed", "service_seconds=2"), 2.0),
    ):
        found = runs("agents=5", "reviewers=5", *words)
        busy = found["reviews_per_hour"] * seconds / 3600.0 / 5.0
        assert found["utilisation"].to_numpy() == pytest.approx(busy.to_numpy(), rel=0.02)


def row(
    agents: int, reviewers: int, wait: float, reach: float = 0.0, **more: float
) -> dict[str, float]:
    names = {"wait_p95": wait, "unanswered": 0.0, "requests_per_hour": 10.0, **more}
    found: dict[str, float] = {"agents": agents, "reviewers": reviewers}
    for name, value in names.items():
        width = reach if name == "wait_p95" else 0.0
        found |= {name: value, f"{name}_low": value - width, f"{name}_high": value + width}
    return found


def test_enough_is_judged_by_the_upper_end_of_the_interval() -> None:
    targets = targets_of({"target_wait_p95": 60.0, "target_overdue": 0.01})
    cells = pd.DataFrame([row(9, 1, 70.0), row(9, 2, 55.0, 6.0), row(9, 3, 55.0, 4.0)])
    found = enough(cells, targets)
    assert found is not None
    assert found["reviewers"] == 3
    assert enough(cells.iloc[:2], targets) is None
    late = pd.DataFrame([row(9, 1, 5.0, unanswered=0.02)])
    assert enough(late, targets) is None
    assert enough(late, targets[:1]) is not None


def test_answers_are_plain_sentences() -> None:
    targets = targets_of({"target_wait_p95": 60.0, "target_overdue": None})
    cells = pd.DataFrame([
        row(5, 1, 70.0, 1.0), row(5, 2, 30.0, 2.0, unanswered=0.123), row(8, 1, 99.0, 1.0),
        row(3, 1, np.nan, requests_per_hour=0.0),
    ])  # fmt: skip
    wish = "keep the 95th percentile of waiting within 60 s"
    assert list(answers(cells, targets)) == [
        "3 agents: nobody is ever asked",
        f"5 agents: 2 reviewers can {wish} (30.0 [28.0, 32.0] s, 12.3 % unanswered); "
        "1 reviewer cannot (70.0 [69.0, 71.0] s)",
        f"8 agents: even 1 reviewer cannot {wish} (99.0 [98.0, 100.0] s)",
    ]
    assert list(answers(cells, [])) == []


def test_tables_show_means_with_intervals_and_only_what_happened() -> None:
    found = runs("agents=5", "reviewers=1", seeds=3)
    text = tables(summarise(found))
    assert text.startswith("5 agents\n")
    assert "±" in text
    assert "overdue" not in text
    assert text.endswith("n = 3 seeds: ± half of the 95 % interval")
    alone = tables(summarise(found[found["seed"] == 0]))
    assert "±" not in alone
    assert alone.endswith("n = 1 seed: no intervals")
    assert "overdue %" in tables(summarise(runs("agents=5", "reviewers=1", "deadline_seconds=2")))


# Who proposes


def model_of(kind: Any, task: Any, path: Path) -> tuple[Path, Any]:
    settings = {} if kind is PPO else {"buffer_size": 1}
    model = kind("MlpPolicy", LanesVecEnv(task), seed=1, device="cpu", **settings)
    model.save(path / "model.zip")
    return path / "model.zip", model


def test_a_model_proposes_as_often_as_it_thinks_right(tmp_path: Path) -> None:
    task = LavaShortcut(200)
    file, model = model_of(PPO, LavaShortcut(1), tmp_path)
    observation = task.reset()
    draws = (np.arange(200)[:, None] + 0.5) / 200.0
    actions, known = by_model(file, LavaShortcut(1), Agent())(task, draws)
    assert known is not None
    tensor, _ = model.policy.obs_to_tensor(observation)
    chances = model.policy.get_distribution(tensor).distribution.probs.detach().numpy()[0]
    assert known.probabilities[0] == pytest.approx(chances, abs=1e-6)
    assert known.confidence == pytest.approx(known.probabilities[np.arange(200), actions])
    assert np.bincount(actions, minlength=5) / 200.0 == pytest.approx(chances, abs=0.01)


def test_values_are_followed_and_count_as_logits_only_where_that_is_said(tmp_path: Path) -> None:
    file, model = model_of(DQN, LavaShortcut(1), tmp_path)
    task = LavaShortcut(3)
    observation, draws = task.reset(), np.zeros((3, 1))
    best = model.predict(observation, deterministic=True)[0]
    actions, known = by_model(file, LavaShortcut(1), Agent("dqn"))(task, draws)
    assert (actions.tolist(), known) == (best.tolist(), None)
    agent = Agent("dqn", confidence="softmax_q", temperature=0.5)
    actions, known = by_model(file, LavaShortcut(1), agent)(task, draws)
    assert known is not None
    tensor, _ = model.policy.obs_to_tensor(observation)
    values = model.q_net(tensor).detach().numpy() / 0.5
    expected = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    assert actions.tolist() == best.tolist()
    assert known.probabilities == pytest.approx(expected, abs=1e-6)


def test_continuous_models_act_by_their_mean(tmp_path: Path) -> None:
    file, model = model_of(SAC, PointHazard(1), tmp_path)
    task = PointHazard(3)
    observation = task.reset()
    actions, known = by_model(file, PointHazard(1), Agent("sac"))(task, np.zeros((3, 2)))
    assert known is None
    assert actions == pytest.approx(model.predict(observation, deterministic=True)[0])


def test_random_agents_draw_from_the_whole_space() -> None:
    draws = np.array([[0.0], [0.39], [0.41], [0.999]])
    assert at_random(LavaShortcut(4), draws)[0].tolist() == [0, 1, 2, 4]
    point = PointHazard(2)
    space: Any = point.action_space
    actions, _ = at_random(point, np.array([[0.0, 0.5], [1.0, 0.5]]))
    middle = (space.low[1] + space.high[1]) / 2.0
    assert actions.tolist() == [[space.low[0], middle], [space.high[0], middle]]


def test_a_model_runs_a_fleet_with_a_trigger_on_its_confidence(tmp_path: Path) -> None:
    file, _ = model_of(PPO, LavaShortcut(1), tmp_path)
    found = runs(
        f"model={file}", "trigger=confidence", "trigger.tau=0.2", "agents=4", "reviewers=4"
    )
    share = found["requests_per_hour"] / found["steps_per_hour"]
    assert (share > 0.1).all()
    assert (share < 0.9).all()
    with pytest.raises(UsageError, match="does not fit this environment"):
        study(f"model={file}", "env=ops_desk")
