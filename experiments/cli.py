"""The command line: ``looplab COMMAND [key=value ...]``."""

import shlex
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from looplab import __version__
from looplab.envs.errors import LoopLabError, UsageError

USAGE_STATUS, FAILURE_STATUS, INTERRUPTED_STATUS = 2, 1, 130
_NEAR = 0.5

Command = TypeVar("Command", bound=Callable[..., None])

EPILOG = """\b
Examples:
  looplab compare experiment=first_look
  looplab train env=lava_shortcut regime=in_the_loop seed=3 total_steps=50000
  looplab list regimes

\b
Tab completion of commands, keys and choices: add to ~/.bashrc
  eval "$(_LOOPLAB_COMPLETE=bash_source looplab)"
and likewise zsh_source in ~/.zshrc; in fish:
  _LOOPLAB_COMPLETE=fish_source looplab | source
"""
TRAIN_EXAMPLES = """\b
Examples:
  looplab train env=ops_desk regime=on_the_loop protocol.lag=3 seed=7
  looplab train env=lava_shortcut regime=in_the_loop trigger=risk total_steps=50000
  looplab train --multirun env=lava_shortcut,ops_desk seed=0,1 total_steps=20000
  looplab train --multirun hydra/sweeper=optuna hydra.sweeper.n_trials=20 \\
      'agent.settings.learning_rate=tag(log, interval(1e-4, 1e-2))' --objective alone_return
"""
EVALUATE_EXAMPLES = """\b
Examples:
  looplab evaluate model.zip env=lava_shortcut regime=in_the_loop
  looplab evaluate model.zip env=ops_desk eval_episodes=1000 trust=true
  looplab evaluate model.zip env=ops_desk regime=in_the_loop out=results/judged
"""
COMPARE_EXAMPLES = """\b
Examples:
  looplab compare experiment=first_look
  looplab compare env=lava_shortcut,ops_desk regime=autonomous,in_the_loop seeds=5
  looplab compare regime=in_the_loop overseer.miss_rate=0,0.1,0.2 seeds=3,7,9
  looplab compare env=ops_desk workers=4 display=plain out=results/mine
  looplab compare experiment=gate_lifted executor=ray executor.address=auto
"""
REPORT_EXAMPLES = """\b
Examples:
  looplab report results/first_look
  looplab report results/first_look results/mine
  looplab report results/before results/after out=results/what_changed
"""
LIST_EXAMPLES = """\b
Examples:
  looplab list
  looplab list regimes
"""
SHOW_EXAMPLES = """\b
Examples:
  looplab show env=lava_shortcut regime=in_the_loop
  looplab show env=ops_desk regime=on_the_loop --policy reference --out desk.png
  looplab show env=lava_shortcut --model results/train/NAME/model.zip --out run.gif
"""
FLEET_EXAMPLES = """\b
Examples:
  looplab fleet env=lava_shortcut regime=in_the_loop agents=10,50,200 reviewers=1,2,5,20
  looplab fleet model=results/train/NAME/model.zip trigger=risk target_wait_p95=10
  looplab fleet waiting=non_blocking deadline_seconds=60 service=lognormal \\
      service_seconds=8 service_p95=30 target_overdue=0.01 seeds=5
"""
POWER_EXAMPLES = """\b
Examples:
  looplab power results/first_look metric=alone_violations_per_1k env=lava_shortcut \\
      of=regime=in_the_loop_correction than=regime=in_the_loop effect=10
  looplab power results/mine of=in_the_loop than=autonomous metric=alone_return effect=0.1,0.2
  looplab power sd=4.5 effect=10 power=0.9 level=0.01
  looplab power sd=4.5 seeds=5
"""
VALIDATE_EXAMPLES = """\b
Examples:
  looplab validate
  looplab validate erlang_c reviewers=5 load=2.5 seed=3
  looplab validate veto_renewal lag=3 vigilance=0.7 override=4
"""
DEMO_EXAMPLES = """\b
Examples:
  looplab demo
  looplab demo env=cliff_walking_native seed=3 error=0.2 open=true
  looplab demo host=0.0.0.0
  looplab demo --export lesson.html seed=3 steps=4000
"""
BENCH_EXAMPLES = """\b
Examples:
  looplab bench --json bench.json
  looplab bench envs
  looplab bench solve lava_shortcut ops_desk
"""


LIVE_EXAMPLES = """\b
Examples:
  looplab live env=ops_desk regime=in_the_loop
  looplab live env=lava_shortcut regime=on_the_loop speed=3
  looplab live env=ops_desk trigger=risk start_from=results/train/NAME/model.zip
"""
PRACTICE_EXAMPLES = """\b
Examples:
  looplab practice env=lava_shortcut
  looplab practice env=ops_desk questions=40 unsafe_share=0.2 judges=[typical,rubber_stamp] seed=7
"""
STUDY_EXAMPLES = """\b
Examples:
  looplab study participants=8 env=lava_shortcut out=results/study/risk_shown
  looplab study file=my_study.yaml
"""
SERVE_EXAMPLES = """\b
Examples:
  looplab serve port=8700 db=sqlite:///reviews.db
  looplab serve deadlines=[30,120] undo_seconds=2
"""
REVIEW_EXAMPLES = """\b
Examples:
  LOOPLAB_TOKEN=... looplab review http://127.0.0.1:8700
"""
REPLAY_EXAMPLES = """\b
Examples:
  looplab replay results/live/NAME
"""
AUDIT_EXAMPLES = """\b
Examples:
  looplab audit verify
  looplab audit verify db=sqlite:///reviews.db
  looplab audit export session=NAME out=results/audit
"""


class _Commands(click.Group):
    """Names the nearest command where one is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command by its exact name."""
        is_word = bool(args) and not args[0].startswith("-")
        if is_word and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            near = get_close_matches(args[0], names, n=1, cutoff=_NEAR)
            hint = f"; did you mean '{near[0]}'?" if near else ";"
            raise UsageError(f"unknown command '{args[0]}'{hint} allowed: {', '.join(names)}")
        return super().resolve_command(ctx, args)


def _complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Keys, and choices of groups, that begin as the word does."""
    from looplab.experiments.completion import bash_completions

    others = tuple(ctx.params.get(param.name or "") or ())
    return [CompletionItem(text) for text in bash_completions(word, others, ctx.info_name or "")]


def _complete_one(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Words that a command's own argument or option takes, and that begin as the word does."""
    from looplab.experiments.completion import argument_words

    given = ctx.params.get(param.name or "")
    names = argument_words(ctx.info_name or "", param.name or "", given or ())
    return [CompletionItem(name) for name in names if name.startswith(word)]


def _complete_power(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Keys, metrics, axes and values of the folder; folders where no key begins so."""
    from looplab.experiments.power_completion import bash_completions

    found = bash_completions(word, tuple(ctx.params.get(param.name or "") or ()))
    return [CompletionItem(text) for text in found] or [CompletionItem(word, type="dir")]


def _folders(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Folders, also behind ``out=``."""
    key = "out="
    if word and key.startswith(word):
        return [CompletionItem(key)]
    return [CompletionItem(word, type="dir")]


def _overrides(function: Command) -> Command:
    return click.argument("overrides", nargs=-1, shell_complete=_complete)(function)


def _dry_run(function: Command) -> Command:
    return click.option("--dry-run", is_flag=True, help="Only list what would run.")(function)


@click.group(
    cls=_Commands,
    epilog=EPILOG,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="looplab")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A laboratory for human oversight of reinforcement-learning agents."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(epilog=TRAIN_EXAMPLES)
@_dry_run
@click.option("--multirun", "-m", is_flag=True, help="Sweep or search, as Hydra does.")
@click.option(
    "--objective",
    help="Of --multirun: what is told of each run, and what a search improves; default "
    "overseen_return.",
    shell_complete=_complete_one,
)
@_overrides
def train(overrides: tuple[str, ...], dry_run: bool, multirun: bool, objective: str | None) -> None:
    """Train one agent under one regime, and evaluate it.

    It is evaluated overseen and alone. OVERRIDES are key=value words: groups (env, regime, agent,
    protocol, trigger, overseer, fallback, signal) and any key within them. Results go to
    results/train/NAME unless out= says otherwise. A run that is finished already is not repeated.
    """
    if multirun:
        from looplab.experiments.multirun import OBJECTIVE
        from looplab.experiments.multirun import multirun as sweep

        if dry_run:
            raise UsageError("--dry-run lists no sweep of Hydra's; leave one of the two out")
        sweep(overrides, objective or OBJECTIVE, click.echo)
        return
    if objective is not None:
        raise UsageError("--objective belongs to --multirun")
    from looplab.experiments.training import train_one

    train_one(overrides, click.echo, dry_run)


@cli.command(epilog=EVALUATE_EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@_overrides
def evaluate(model: Path, overrides: tuple[str, ...]) -> None:
    """Evaluate a Stable-Baselines3 model, overseen and alone.

    Only the file's weights are read; trust=true unpickles all of it, which can run code. Nothing
    is written unless out=FOLDER names a new folder for every episode (episodes.parquet), the
    printed metrics (metrics.csv), the configuration and the provenance.
    """
    from looplab.experiments.evaluating import evaluate_model

    evaluate_model(model, overrides, click.echo)


@cli.command(epilog=COMPARE_EXAMPLES)
@_dry_run
@_overrides
def compare(overrides: tuple[str, ...], dry_run: bool) -> None:
    """Compare regimes: every cell with every seed; commas sweep.

    Finished runs are not repeated: a comparison that was stopped continues with the same command,
    and more seeds or cells extend it. Results go to results/NAME unless out= says otherwise.
    """
    from looplab.experiments.overrides import plan
    from looplab.experiments.processes import begin

    asked = plan(overrides)
    dry_run = dry_run or asked.running["dry_run"]
    if not dry_run:
        begin(asked.running["workers"])  # on another core, while this one imports and checks
    from looplab.experiments.compare import check_cells, listing, run_plan

    if dry_run:
        check_cells(asked)
        click.echo("\n".join(listing(asked)))
        return
    quiet = asked.running["display"] == "none"
    say = (lambda line: None) if quiet else click.echo
    folder = run_plan(asked, shlex.join(["looplab", "compare", *overrides]), say)
    click.echo(f"report: {folder / 'report.html'}")


@cli.command(epilog=REPORT_EXAMPLES)
@click.argument(
    "words", nargs=-1, metavar="FOLDER [FOLDER]... [out=FOLDER]", shell_complete=_folders
)
def report(words: tuple[str, ...]) -> None:
    """Draw tables, figures and report of a results folder anew, or hold several side by side.

    Several: the same cells on equal seeds, settings and versions that differ, and claims whose
    verdict changed, all against the first; written to FIRST_vs_OTHER beside the first unless out=
    says otherwise.
    """
    from looplab.experiments.reporting import report as write

    click.echo(f"report: {write(words)}")


@cli.command("list", epilog=LIST_EXAMPLES)
@click.argument("what", required=False, shell_complete=_complete_one)
def list_choices(what: str | None) -> None:
    """List environments, agents, regimes and other choices."""
    from looplab.experiments.catalogue import PLURALS, catalogue

    if what is not None and PLURALS.get(what, what) == "env":
        from looplab.experiments.env_cards import list_envs

        list_envs(click.echo)
        return
    for group, choices in catalogue(what).items():
        click.echo(f"{group}=")
        width = max(map(len, choices), default=0)
        for name, text in choices.items():
            click.echo(f"  {name:{width}}  {text}")


@cli.command(epilog=SHOW_EXAMPLES)
@click.option("--out", type=click.Path(path_type=Path), help="File to write, .gif or .png.")
@click.option(
    "--policy",
    default="random",
    help="Who proposes: random, reference or safe.",
    shell_complete=_complete_one,
)
@click.option("--model", type=click.Path(path_type=Path), help="A model.zip that proposes.")
@click.option("--steps", type=int, default=60, help="Steps at most.")
@_overrides
def show(
    overrides: tuple[str, ...], out: Path | None, policy: str, model: Path | None, steps: int
) -> None:
    """Draw an episode step by step, with what oversight made of every proposal.

    Writes an animated GIF, or a PNG strip of all steps; default results/show/ENV-REGIME.gif.
    """
    from looplab.experiments.show import show as draw

    click.echo(f"picture: {draw(overrides, out, policy, model, steps)}")


@cli.command(epilog=FLEET_EXAMPLES)
@_overrides
def fleet(overrides: tuple[str, ...]) -> None:
    """Find out how many reviewers a fleet of agents needs.

    Agents propose, each in a lane of its own, and share reviewers behind one queue. Commas sweep
    agents and reviewers; configs/fleet.yaml lists all keys. Results go to results/fleet/ENV-REGIME
    unless out= says otherwise.
    """
    from looplab.experiments.fleet import run_fleet

    click.echo(f"results: {run_fleet(overrides, click.echo)}")


@cli.command(epilog=POWER_EXAMPLES)
@click.argument(
    "words", nargs=-1, metavar="[FOLDER] [KEY=VALUE]...", shell_complete=_complete_power
)
def power(words: tuple[str, ...]) -> None:
    """Find out how many seeds a difference needs.

    FOLDER is a pilot that looplab compare wrote. of= and than= name two of its cells by axis=value
    (a bare name is a regime; several axes with commas), and axes such as env= hold for both;
    metric= is a column of summary.csv. effect= is the difference that matters, in the metric's own
    unit: shown are the seeds needed for it, half of it and twice of it, or for several given with
    commas, and the difference that the pilot's seeds, or seeds=, can show. power= (0.8) is the
    chance of finding it, level= (0.05) that of finding one that is not there. Without a folder, sd=
    is the standard deviation of the differences between equal seeds.
    """
    from looplab.experiments.power import show_power

    show_power(words, click.echo)


@cli.command(epilog=VALIDATE_EXAMPLES)
@click.argument("words", nargs=-1, metavar="[CHECK] [KEY=VALUE]...", shell_complete=_complete_one)
def validate(words: tuple[str, ...]) -> None:
    """Run closed forms through the engine, and see whether they agree.

    All checks with their defaults, or CHECK with parameters of its own; seed= goes with both.
    Every line shows what theory expects, what was measured, and the interval. Status 1 if any
    differs.
    """
    from looplab.experiments.validation.validate import validate as run_checks

    if not all(finding.agrees for finding in run_checks(words, click.echo)):
        sys.exit(FAILURE_STATUS)


@cli.command(epilog=DEMO_EXAMPLES)
@click.option(
    "--export",
    "file",
    type=click.Path(path_type=Path),
    help="Write a recording, one HTML file that needs no server, instead.",
)
@_overrides
def demo(overrides: tuple[str, ...], file: Path | None) -> None:
    """Show a class what in the loop and on the loop mean, on one page.

    The same task and seed without oversight, in the loop and on the loop, side by side, by agents
    that learn while you look on. configs/demo.yaml lists the keys beside env= and seed=. The page
    opens on this machine only; host=0.0.0.0 lets students join and vote.
    """
    from looplab.experiments.classroom.demo import export, show

    if file is None:
        show(overrides, click.echo)
        return
    click.echo(f"recording: {export(overrides, file, click.echo)}")


@cli.command(epilog=BENCH_EXAMPLES)
@click.argument("what", required=False, default="learning", shell_complete=_complete_one)
@click.argument("names", nargs=-1, shell_complete=_complete_one)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def bench(what: str, names: tuple[str, ...], json_file: Path | None) -> None:
    """Measure speed, as ratios within one run.

    WHAT is learning (default: PPO under oversight against stock PPO), envs (lanes against single
    environments), solve (train an agent on each task, or on the presets NAMES, and compare it
    with the task's reference), running (what executing runs costs beside them, and what a second
    worker brings) or live (the review service: how soon an answer is an action, how many are kept
    in a second, and whether memory grows).
    """
    from looplab.envs.errors import choice
    from looplab.experiments.bench import BENCHES

    BENCHES[choice("bench", what, BENCHES)](names, json_file, click.echo)


@cli.command(epilog=LIVE_EXAMPLES)
@_overrides
def live(overrides: tuple[str, ...]) -> None:
    """Take the overseer's seat: a service, its page and a training run, in one go.

    Prints one link. configs/live.yaml lists the session's own keys; all others are a run's.
    Results go to results/live/NAME unless out= says otherwise; a session that was killed goes on
    with the same command.
    """
    _need_live()
    from looplab.experiments.live import live as run_live

    run_live(overrides, click.echo)


@cli.command(epilog=PRACTICE_EXAMPLES)
@_overrides
def practice(overrides: tuple[str, ...]) -> None:
    """Judge proposals whose answers are known, be told at once, and get a score card.

    Prints one link. configs/practice.yaml lists the keys beside env=, tolerance= and seed=. The
    card stands beside simulated humans who judged the same. Results go to results/practice/NAME.
    """
    _need_live()
    from looplab.experiments.practice.practice import practice as run_practice

    click.echo(f"practice: {run_practice(overrides, click.echo)}")


@cli.command(epilog=STUDY_EXAMPLES)
@_overrides
def study(overrides: tuple[str, ...]) -> None:
    """Run a study: consent, conditions in balanced order, workload and trust, tables.

    Each participant gets a pseudonym and a link; configs/study.yaml lists the keys and is an
    example of a study's own file. Results go to results/study/NAME; one that was interrupted goes
    on with the same command.
    """
    _need_live()
    from looplab.experiments.practice.study import study as run_study

    click.echo(f"study: {run_study(overrides, click.echo)}")


@cli.command(epilog=SERVE_EXAMPLES)
@_overrides
def serve(overrides: tuple[str, ...]) -> None:
    """Run the review service alone, until Ctrl-C.

    Trainers on any machine come with overseer=live overseer.url=... and LOOPLAB_TOKEN in their
    environment. configs/serve.yaml lists all keys.
    """
    _need_live()
    from looplab.experiments.serving import serve_words

    serve_words(overrides, click.echo)


@cli.command(epilog=REVIEW_EXAMPLES)
@click.argument("url")
def review(url: str) -> None:
    """Answer from a terminal what a review service asks, by the same keys as on its page.

    URL is the service's, as looplab live and looplab serve print it; the token that stands behind
    its #, or else LOOPLAB_TOKEN of the environment, says who you are.
    """
    _need_live()
    from looplab.experiments.serving import review as answer

    answer(url)


@cli.command(epilog=REPLAY_EXAMPLES)
@click.argument("session", type=click.Path(path_type=Path), shell_complete=_folders)
def replay(session: Path) -> None:
    """Run a live session again from what people answered, and compare every decision.

    Status 1 if any came out otherwise.
    """
    _need_live()
    from looplab.experiments.replay import replay as again

    found = again(session)
    click.echo(
        f"{found.decisions} decisions, {found.answers} answers of people: all the same; "
        f"{found.ended}"
    )


@cli.command(epilog=AUDIT_EXAMPLES)
@click.argument("what", shell_complete=_complete_one)
@_overrides
def audit(what: str, overrides: tuple[str, ...]) -> None:
    """Check that nobody changed a review service's ledger, or write it out.

    WHAT is verify (status 1 if anything was found) or export (Parquet and JSON lines, to
    results/audit unless out= says otherwise). db= names the database.
    """
    _need_live()
    from looplab.experiments.serving import audit as examine

    if not examine(what, overrides, click.echo):
        sys.exit(FAILURE_STATUS)


def _need_live() -> None:
    """Names the extra where the packages of the live service are missing."""
    missing = [name for name in ("fastapi", "httpx", "nicegui", "sqlalchemy", "uvicorn")
               if find_spec(name) is None]  # fmt: skip
    if missing:
        raise UsageError(f"{', '.join(missing)} not installed; pip install 'looplab[live]'")


@cli.command()
def doctor() -> None:
    """Check that this machine can run LoopLab."""
    from looplab.experiments.doctor import doctor as examine

    if not examine(click.echo):
        sys.exit(FAILURE_STATUS)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and ends the process.

    People's errors end with one line and status 2, failures with status 1, Ctrl-C with 130; what
    nobody foresaw keeps its traceback.

    Args:
        arguments: the words after ``looplab``; None: the process's own.
    """
    try:
        status = cli.main(args=arguments, prog_name="looplab", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; the same command continues", INTERRUPTED_STATUS)
    except click.ClickException as error:
        _fail(error.format_message(), USAGE_STATUS)
    except UsageError as error:
        _fail(str(error), USAGE_STATUS)
    except LoopLabError as error:
        for failure in getattr(error, "failures", ()):
            if failure.details:
                click.echo(failure.details, err=True)
        _fail(str(error), USAGE_STATUS if getattr(error, "usage", False) else FAILURE_STATUS)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(f"looplab: {' '.join(message.split())}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
