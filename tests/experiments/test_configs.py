"""Every YAML of every group: composed, built, trained a little, evaluated; and the presets."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError
from looplab.envs.native import REWARD_MODES
from looplab.experiments.build import parts
from looplab.experiments.catalogue import catalogue, describe
from looplab.experiments.claims import read_claims
from looplab.experiments.compare import check_cells, not_judged
from looplab.experiments.composition import TRIAL, groups
from looplab.experiments.experiment import KEYS
from looplab.experiments.overrides import plan
from looplab.experiments.run import run
from looplab.experiments.solving import native_presets
from looplab.experiments.trials import kind

FILES = sorted(CONFIG_DIR.rglob("*.yaml"))
#: What tasks need of agents comes with them; nobody chooses it.
TUNED = sorted((CONFIG_DIR / "tuned").glob("*.yaml"))
LANES = 4
#: A multiple of what every algorithm collects at once: 4 lanes, and 2 steps of each in a DQN.
STEPS, EPISODES = 304, 4
SHORT = (f"total_steps={STEPS}", f"eval_episodes={EPISODES}", f"agent.lanes={LANES}")
#: So that several episodes end in training; MiniGrid's tasks have a limit of their own.
LIMIT = "env.max_episode_steps=20"
#: Of a task whose steps copy a whole road, and drive on in each copy: less of everything.
COPYING, FEWER_STEPS, FEWER_EPISODES = "env=highway", 80, 2
SHORTER = (f"total_steps={FEWER_STEPS}", f"eval_episodes={FEWER_EPISODES}", "env.horizon=1")
SHORTER_LIMIT = "env.max_episode_steps=8"
#: So that a DQN learns within so few steps.
EAGER = ("agent=dqn", "agent.settings.learning_starts=50")
#: Tasks whose actions are real numbers.
CONTINUOUS = ("point_hazard", "mujoco_velocity", "point_maze")
#: Tasks in which doing nothing may harm, so that a gate that holds promises nothing.
RESTLESS = ("gym", "highway", "lunar_lander", "mujoco_velocity", "pong")
#: One task of each kind: tables, arrays, real numbers, harm that comes late, and other people's.
KINDS = ("lava_shortcut", "ops_desk", "point_hazard", "dose_control", "cliff_walking")
#: Those of them that list their observations.
LISTED = ("lava_shortcut", "cliff_walking")
GATE = ("env=ops_desk", "regime=in_the_loop")
#: Tasks whose look-ahead takes long: copies of whole worlds, many steps ahead.
LOOKING_AHEAD = ("highway", "lunar_lander")

Ran = Callable[..., pd.DataFrame]


def choices(group: str) -> list[str]:
    return list(groups()[group])


def crossed(group: str, *everywhere: str) -> list[Any]:
    """Every choice of the group with one task of each kind, and the named ones with all tasks."""
    return [
        pytest.param(env, choice, marks=pytest.mark.slow if env in LOOKING_AHEAD else ())
        for env in choices("env")
        for choice in choices(group)
        if env in KINDS or choice in everywhere
    ]


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    """A function that executes one short run and returns its episodes."""

    def execute(*words: str) -> pd.DataFrame:
        limited = () if any("minigrid" in word for word in words) else (LIMIT,)
        short, steps, count = (*SHORT, *limited), STEPS, EPISODES
        if COPYING in words:
            short = (*SHORTER, SHORTER_LIMIT, f"agent.lanes={LANES}")
            steps, count = FEWER_STEPS, FEWER_EPISODES
        asked = plan([*words, *short], sweeps=False)
        try:
            check_cells(asked)
        except UsageError as error:
            if "install it with" in str(error):  # the preset's extra is missing
                pytest.skip(str(error))
            raise
        run(asked.cells[0], tmp_path / "run")
        episodes = pd.read_parquet(tmp_path / "run" / "episodes.parquet")
        evaluated = episodes[episodes["phase"] != "train"]
        assert set(evaluated.groupby(["phase", "policy"]).size()) == {count}
        decisions = pd.read_parquet(tmp_path / "run" / "decisions.parquet", columns=["lane"])
        assert len(decisions) == steps
        return episodes

    return execute


# Files


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_file_says_in_its_first_comment_what_it_is(file: Path) -> None:
    text = describe(file)
    assert len(text) > 10
    assert text[0].isupper()
    assert text[-1] in ".?)"
    if file.parent.name == "experiment":
        command = f"# looplab compare experiment={file.stem}\n"
        assert command in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_target_names_something_that_can_be_imported(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        key, _, value = line.strip().lstrip("- ").partition(":")
        if key == "_target_":
            module, _, name = value.strip().rpartition(".")
            assert hasattr(pytest.importorskip(module), name)


def test_the_catalogue_holds_every_choice_with_its_description() -> None:
    found = catalogue()
    assert {(group, name) for group in found for name in found[group]} == {
        (file.parent.name, file.stem)
        for file in FILES
        if file.parent != CONFIG_DIR and file not in TUNED
    }
    assert all(text for names in found.values() for text in names.values())
    assert catalogue("regimes") == catalogue("regime") == {"regime": found["regime"]}


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(UsageError, match="unknown list 'regims'; did you mean 'regimes'"):
        catalogue("regims")


# Named experiments


@pytest.mark.parametrize("name", groups()["experiment"])
def test_an_experiment_states_what_it_asks_expects_and_costs(name: str) -> None:
    asked = plan([f"experiment={name}"])
    stated = asked.experiment
    assert stated is not None
    assert list(stated) == list(KEYS)
    assert stated["name"] == name
    assert stated["question"].endswith("?")
    assert stated["cost_cpu_minutes"] > 0
    claims = read_claims(stated, measures=kind({TRIAL: asked.trial}).measures())
    assert len(claims) >= 2
    assert all(claim.says.endswith(".") for claim in claims)
    assert not_judged(asked) == []
    cells = [cell["cell"] for cell in asked.cells]
    assert len(cells) == len({str(cell) for cell in cells})
    said = f"({len(cells)} cells x {len(asked.seeds)} seeds, {stated['cost_cpu_minutes']:g} CPU min"
    assert said in catalogue("experiments")["experiment"][name]
    content = yaml.safe_load((CONFIG_DIR / "experiment" / f"{name}.yaml").read_text())
    assert {"experiment", "seeds", "total_steps", "sweep"} <= set(content)


def test_the_domains_are_all_native_tasks() -> None:
    content = yaml.safe_load((CONFIG_DIR / "experiment" / "domains.yaml").read_text())
    # the point hazard once, with actions that can be counted
    assert sorted(content["sweep"]["env"]) == sorted({*native_presets()} - {"point_hazard"})


# What a task needs of an agent


@pytest.mark.parametrize("file", TUNED, ids=lambda file: file.stem)
def test_tuned_settings_come_with_their_task_and_agent(file: Path) -> None:
    meetings = product(choices("env"), (None, *REWARD_MODES), choices("agent"))
    env, mode, agent = next(each for each in meetings if "_".join(filter(None, each)) == file.stem)
    words = [f"env={env}", f"agent={agent}", *([f"env.reward_mode={mode}"] if mode else [])]
    (cell,) = plan(words).cells
    tuned = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert tuned
    for key, value in tuned.get("agent", {}).get("settings", {}).items():
        assert cell["agent"]["settings"][key] == value
        other = repr(value) + "1" if isinstance(value, int) else "0.125"
        (given,) = plan([*words, f"agent.settings.{key}={other}"]).cells
        assert given["agent"]["settings"][key] == yaml.safe_load(other) != value
    assert cell.get("total_steps") == tuned.get("total_steps", plan([]).cells[0]["total_steps"])
    assert cell.keys() == plan([]).cells[0].keys()  # no group of its own, no key by mistake


def test_tuned_settings_leave_other_tasks_and_agents_alone() -> None:
    asked = plan(["env=cliff_walking,lava_shortcut", "agent=ppo,dqn", "agent.lanes=16"])
    lone = [
        plan([f"env={cell['cell']['env']}", f"agent={cell['cell']['algo']}", "agent.lanes=16"])
        for cell in asked.cells
    ]
    assert list(asked.cells) == [each.cells[0] for each in lone]
    settings = {tuple(cell["cell"].values()): cell["agent"]["settings"] for cell in asked.cells}
    tuned, plain, tuned_dqn, plain_dqn = (
        settings[env, "autonomous", algo]
        for algo in ("ppo", "dqn")
        for env in ("cliff_walking", "lava_shortcut")
    )
    assert tuned != plain
    assert tuned_dqn == plain_dqn


def test_settings_of_one_reward_mode_leave_the_others_alone() -> None:
    modes = ("aligned", "misspecified", "hidden")
    cells = plan(["env=lava_shortcut", f"env.reward_mode={','.join(modes)}"]).cells
    lanes = [cell["agent"]["lanes"] for cell in cells]
    assert lanes == [64, 16, 16]
    (dqn,) = plan(["env=lava_shortcut", "env.reward_mode=aligned", "agent=dqn"]).cells
    assert dqn["agent"] == plan(["env=lava_shortcut", "agent=dqn"]).cells[0]["agent"]


@pytest.mark.slow
def test_where_falls_are_charged_they_fade(tmp_path: Path) -> None:
    words = ["env=lava_shortcut", "env.reward_mode=aligned", "eval_episodes=100"]
    run(plan(words, sweeps=False).cells[0], tmp_path / "run")
    episodes = pd.read_parquet(tmp_path / "run" / "episodes.parquet")
    alone = episodes[(episodes["phase"] == "eval_alone") & (episodes["policy"] == "stochastic")]
    first = episodes[(episodes["phase"] == "train") & (episodes["end_step"] <= 20_000)]
    rates = [1000 * part["violations"].sum() / part["length"].sum() for part in (first, alone)]
    assert alone["task_return"].mean() > 0.0  # whoever stands still is at -2.5, the optimum at 0.19
    assert rates[1] < 5.0 < rates[0]


def test_tuned_settings_are_no_choice() -> None:
    with pytest.raises(UsageError, match="unknown key 'tuned'"):
        plan(["tuned=cliff_walking_ppo"])


# Everything runs


@pytest.mark.parametrize(("env", "regime"), crossed("regime", "in_the_loop", "on_the_loop"))
def test_every_regime_runs_on_every_kind_of_task_and_some_on_all(
    env: str, regime: str, ran: Ran
) -> None:
    episodes = ran(f"env={env}", f"regime={regime}")
    assert set(episodes["env"]) == {env}
    assert set(episodes["regime"]) == {regime}
    alone = episodes[episodes["phase"] == "eval_alone"]
    assert (alone[["reviews", "interventions", "human_seconds"]] == 0).all(axis=None)
    if regime.startswith("in_the_loop"):
        overseen = episodes[episodes["phase"] != "eval_alone"]
        assert (overseen["reviews"] == overseen["length"]).all()
        assert env in RESTLESS or overseen["violations"].sum() == 0


#: Whose questions go to people; in tests/oversight/live they are answered.
ASKS_PEOPLE = "comparisons_live"


@pytest.mark.parametrize("protocol", sorted({*choices("protocol")} - {ASKS_PEOPLE}))
def test_every_protocol_runs(protocol: str, ran: Ran) -> None:
    assert len(ran(*GATE, f"protocol={protocol}"))


def test_a_protocol_that_asks_people_needs_them() -> None:
    with pytest.raises(UsageError, match="overseer=live"):
        parts(plan([*GATE, f"protocol={ASKS_PEOPLE}"], sweeps=False).cells[0])


@pytest.mark.parametrize("trigger", choices("trigger"))
def test_every_trigger_runs_under_a_gate(trigger: str, ran: Ran) -> None:
    episodes = ran(*GATE, f"trigger={trigger}")
    overseen = episodes[episodes["phase"] == "eval_overseen"]
    share = overseen["reviews"].sum() / overseen["length"].sum()
    assert share == {"always": 1.0, "never": 0.0}.get(trigger, pytest.approx(0.5, abs=0.5))


#: People answer in tests/experiments/test_live.py and tests/oversight/live, through a service; and
#: what they answered is read from a file there.
LIVE = {"live", "live_tested", "recorded"}


@pytest.mark.parametrize("overseer", sorted({*choices("overseer")} - LIVE))
def test_every_overseer_runs_under_a_gate(overseer: str, ran: Ran) -> None:
    assert ran(*GATE, f"overseer={overseer}")["interventions"].sum() > 0


@pytest.mark.parametrize("fallback", choices("fallback"))
def test_every_fallback_runs_under_a_gate(fallback: str, ran: Ran) -> None:
    episodes = ran(*GATE, f"fallback={fallback}")
    assert episodes[episodes["phase"] == "eval_overseen"]["interventions"].sum() > 0


@pytest.mark.parametrize("signal", choices("signal"))
def test_every_signal_runs_under_a_gate(signal: str, ran: Ran) -> None:
    env = "lava_shortcut" if signal == "potential" else "ops_desk"  # which has none
    words = EAGER if signal == "both" else ()
    episodes = ran(f"env={env}", "regime=in_the_loop", f"signal={signal}", *words)
    train = episodes[episodes["phase"] == "train"]
    changed = (train["task_return"] != train["learning_return"]).any()
    assert changed == (signal in ("both", "penalty", "praise", "potential"))


@pytest.mark.parametrize(("env", "agent"), crossed("agent", "ppo"))
def test_every_agent_runs_on_every_kind_of_task_in_which_it_can_act(
    env: str, agent: str, ran: Ran
) -> None:
    unfit = ("dqn", "maskable_ppo") if env in CONTINUOUS else ("sac",)
    if agent in (*unfit, "none") or (agent == "q_learning" and env not in LISTED):
        pytest.skip(f"{agent} cannot act in {env}")
    eager = EAGER if agent == "dqn" else (f"agent={agent}",)
    regime = "rules" if agent == "maskable_ppo" else "on_the_loop"
    assert set(ran(f"env={env}", f"regime={regime}", *eager)["algo"]) == {agent}


def test_dqn_asks_by_the_softmax_of_its_values(ran: Ran) -> None:
    words = ("trigger=confidence", "agent.confidence=softmax_q", "trigger.tau=1.0")
    episodes = ran(*GATE, *EAGER, *words)
    assert (episodes.loc[episodes["phase"] == "eval_overseen", "reviews"] > 0).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agent=sac"], r"agent=sac cannot act in Discrete\(.*; use one of: ppo, dqn"),
        ([*GATE, "signal=both"], "both"),
        ([*GATE, "signal=potential"], "needs a potential, and the environment has none"),
        ([*GATE, "agent=dqn", "trigger=confidence"], "agent=dqn has no confidence of its own"),
        ([*GATE, "agent=maskable_ppo"], "agent=maskable_ppo proposes what rules allow"),
        ([*GATE, "agent=q_learning"], "agent=q_learning needs a task that lists its observations"),
        (
            ["env=cliff_walking", *GATE[1:], "agent=q_learning", "trigger=confidence"],
            "agent=q_learning has no confidence",
        ),
        ([*GATE, "agent=none"], "agent=none learns nothing"),
        (["regime=rules", "protocol.revision=null"], "Rules needs rules, or a revision"),
        (["regime=adaptive", "protocol.relax=0.5"], "tighten must be below relax"),
        (["env=minigrid_lava_gap", *GATE[1:], "trigger=risk", "trigger.source=estimated"], "risk"),
        (["env=cliff_walking", *GATE[1:], "trigger=risk", "trigger.source=estimated"], "risk"),
        (["env=ops_desk", "overseer.miss_rate=1.5"], r"miss_rate .*\[0, 1\], got 1.5"),
        (["env=ops_desk", "overseer.miss_rate=often"], "miss_rate .*'often'"),
        ([*GATE, "trigger=audit", "trigger.probability=2"], r"\[0, 1\], got 2"),
        (["env=lava_shortcut", "env.slip=-1"], r"slip must be a number in \[0, 1\], got -1"),
        (["regime=on_the_loop", "protocol.lag=-1"], "lag .*got -1"),
        (["regime=on_the_loop", "protocol.lag=soon"], "lag .*'soon'"),
        ([*GATE, "protocol.world=stopped"], "unknown world 'stopped'"),
        (["agent.settings.batch_size=many"], "batch_size must be a whole number of at least 1"),
        (["+agent.settings.no_such=1"], "no_such"),
        (["+overseer.no_such=1"], "no_such"),
        (["agent.algorithm=pppo"], "unknown algorithm 'pppo'; did you mean 'ppo'"),
        (["overseer=panel", "overseer.rule=any_vet"], "unknown rule .* did you mean 'any_veto'"),
        (["overseer=panel", "overseer.overseers=[]"], "overseers"),
        (["overseer=chain", "overseer.end=null"], "tiers without an end: supervisor passes on"),
        ([*GATE, "overseer=roles", "overseer.default=null"], "nobody answers for action"),
        ([*GATE[1:], "env=point_hazard", "overseer=catch_trials"], "a Discrete action space"),
        (["env._target_=nowhere.Task"], "nowhere"),
        (["protocol.trigger=never"], "trigger"),
        (["protocol=null"], "protocol"),
        (["env=null"], "env"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_cells(plan(words))
    assert "\n" not in str(caught.value)


# Presets

ALWAYS = {"_target_": "looplab.oversight.Always"}
EXACT = {
    "_target_": "looplab.oversight.ScriptedOverseer",
    "miss_rate": 0.0, "false_alarm_rate": 0.0, "review_seconds": 5.0,
}  # fmt: skip
HOLD, CORRECTION = ({"_target_": f"looplab.oversight.{name}"} for name in ("Hold", "Correction"))
SILENT = {
    "_target_": "looplab.oversight.Signal",
    "credit": "proposed", "penalty": 0.0, "beta": 1.0, "shaping": None,
}  # fmt: skip


def protocol(name: str, fallback: dict[str, Any] | None, **settings: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"trigger": ALWAYS, "overseer": EXACT}
    asked |= {} if fallback is None else {"fallback": fallback}
    return {"_target_": f"looplab.oversight.{name}", **asked, **settings}


def overseer(name: str) -> Any:
    return plan([*GATE, f"overseer={name}"]).cells[0]["protocol"]["overseer"]


def gate(fallback: dict[str, Any]) -> dict[str, Any]:
    settings = {"step_seconds": 1.0, "deadline_seconds": None, "timeout": "closed"}
    return protocol("Gate", fallback, world="paused", **settings)


def built_of(name: str, **settings: Any) -> dict[str, Any]:
    return {"_target_": f"looplab.oversight.{name}", **settings}


#: How rules are revised, in the presets that revise them.
REVISED = built_of(
    "Revision",
    reviser=built_of("HarmRate", threshold=0.05, visits=5),
    every=2048,
    seconds=60.0,
    memory=0.9,
    cells=built_of("Cells", width=0.5),
)

#: Protocol and signal of every preset, as the design states them.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "autonomous": ({"_target_": "looplab.oversight.Autonomous"}, SILENT),
    "in_the_loop": (gate(HOLD), SILENT),
    "in_the_loop_correction": (gate(CORRECTION), SILENT),
    "in_the_loop_penalty": (gate(HOLD), {**SILENT, "penalty": 0.2}),
    "on_the_loop": (
        protocol(
            "Veto",
            CORRECTION,
            lag=1,
            step_seconds=None,
            vigilance=1.0,
            override=3,
            watch_seconds=1.0,
        ),
        SILENT,
    ),
    "veto_window": (
        protocol(
            "VetoWindow",
            HOLD,
            window=1,
            window_seconds=None,
            step_seconds=1.0,
            vigilance=1.0,
            watch_seconds=1.0,
        ),
        SILENT,
    ),
    "feedback": (protocol("Feedback", None), SILENT),
    "rules": (built_of("Rules", rules=[], fallback=HOLD, revision=REVISED), SILENT),
    "behind_the_loop": (
        built_of(
            "Behind", share=0.1, after_harm=True, step_seconds=1.0, fallback=HOLD, revision=REVISED
        ),
        SILENT,
    ),
    "adaptive": (
        built_of(
            "Adaptive",
            levels=None,
            overseer=EXACT,
            fallback=HOLD,
            audit=0.05,
            relax=0.95,
            tighten=0.8,
            smoothing=0.02,
            dwell=100,
            budget_seconds=None,
            risk=None,
            monitors=[
                built_of(
                    "PageHinkley",
                    threshold=20.0,
                    slack=0.05,
                    settle=200,
                    stream="refusals",
                    pooled=True,
                )
            ],
        ),
        SILENT,
    ),
    "panel": (gate(HOLD) | {"overseer": overseer("panel")}, SILENT),
    "escalation": (gate(HOLD) | {"overseer": overseer("chain")}, SILENT),
}


def test_every_preset_is_stated() -> None:
    assert set(PRESETS) == set(groups()["regime"])


@pytest.mark.parametrize("regime", PRESETS)
def test_a_preset_is_exactly_its_five_parts(regime: str) -> None:
    cell = plan([f"regime={regime}"]).cells[0]
    assert (cell["protocol"], cell["signal"]) == PRESETS[regime]
    built = parts(cell)
    assert type(built.protocol).__name__ == PRESETS[regime][0]["_target_"].rsplit(".", 1)[1]
    assert built.signal.penalty == PRESETS[regime][1]["penalty"]
    assert built.settings.tolerance == 0.0
