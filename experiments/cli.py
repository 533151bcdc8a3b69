"""The command line: ``looplab COMMAND [key=value ...]``."""

import shlex
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from looplab import CONFIG_DIR, __version__
from looplab.envs.errors import LoopLabError, UsageError

USAGE_STATUS, FAILURE_STATUS, INTERRUPTED_STATUS = 2, 1, 130

EPILOG = """Tab completion: eval "$(_LOOPLAB_COMPLETE=bash_source looplab)" in ~/.bashrc, or
zsh_source, fish_source for other shells."""


class _Commands(click.Group):
    """Names the nearest command where one is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command by its exact name."""
        if args and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            near = get_close_matches(args[0], names, n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}'?" if near else ";"
            raise UsageError(f"unknown command '{args[0]}'{hint} allowed: {', '.join(names)}")
        return super().resolve_command(ctx, args)


def _complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Keys, and choices of groups, that begin as the word does."""
    key, equals, value = word.partition("=")
    folders = {f.name: f for f in CONFIG_DIR.iterdir() if f.is_dir() and any(f.glob("*.yaml"))}
    if equals and key in folders:
        before, _, last = value.rpartition(",")
        head = f"{key}={before}," if before else f"{key}="
        names = sorted(file.stem for file in folders[key].glob("*.yaml"))
        return [CompletionItem(f"{head}{name}") for name in names if name.startswith(last)]
    lines = (CONFIG_DIR / "config.yaml").read_text(encoding="utf-8").splitlines()
    roots = [line.split(":")[0] for line in lines if line[:1].isalpha() and ":" in line]
    keys = [*folders, *(root for root in roots if root != "defaults")]
    return [CompletionItem(f"{name}=") for name in keys if name.startswith(word)]


def _overrides(function: Any) -> Any:
    return click.argument("overrides", nargs=-1, shell_complete=_complete)(function)


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="looplab")
def cli() -> None:
    """A laboratory for human oversight of reinforcement-learning agents."""


@cli.command(epilog="Example: looplab train env=ops_desk regime=on_the_loop protocol.lag=3 seed=7")
@_overrides
def train(overrides: tuple[str, ...]) -> None:
    """Train one agent under one regime, and evaluate it overseen and alone.

    OVERRIDES are key=value words: groups (env, regime, agent, protocol, trigger, overseer, fallback,
    signal) and any key within them. Results go to results/train/NAME unless out= says otherwise.
    """
    from looplab.experiments.training import train_one

    train_one(overrides, click.echo)


@cli.command(epilog="Example: looplab evaluate model.zip env=lava_shortcut regime=in_the_loop")
@click.argument("model", type=click.Path(path_type=Path))
@_overrides
def evaluate(model: Path, overrides: tuple[str, ...]) -> None:
    """Evaluate any Stable-Baselines3 model file, overseen and alone.

    Only the file's weights are read; trust=true unpickles all of it, which can run code.
    """
    from looplab.experiments.evaluate import evaluate_file
    from looplab.experiments.overrides import plan
    from looplab.experiments.text_table import text_table

    trust = False
    words = []
    for word in overrides:
        if word.startswith("trust="):
            if word not in ("trust=true", "trust=false"):
                raise UsageError(f"trust must be true or false, got '{word[6:]}'")
            trust = word == "trust=true"
        else:
            words.append(word)
    config = plan(words, sweeps=False).cells[0]
    click.echo(text_table(evaluate_file(model, config, trust)))


@cli.command(
    epilog="Examples: looplab compare experiment=first_look; looplab compare "
    "env=lava_shortcut,ops_desk regime=autonomous,in_the_loop seeds=5 total_steps=100000"
)
@click.option("--dry-run", is_flag=True, help="only list the runs")
@_overrides
def compare(overrides: tuple[str, ...], dry_run: bool) -> None:
    """Compare regimes: every cell with every seed; commas sweep.

    Finished runs are not repeated, so a comparison that was stopped continues with the same
    command, and more seeds or cells extend it.
    """
    from looplab.experiments.compare import listing, run_plan
    from looplab.experiments.overrides import plan

    asked = plan(overrides)
    if dry_run or asked.running["dry_run"]:
        click.echo("\n".join(listing(asked)))
        return
    folder = run_plan(asked, shlex.join(["looplab", "compare", *overrides]))
    click.echo(f"report: {folder / 'report.html'}")


@cli.command(epilog="Example: looplab report results/first_look")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Draw the tables, figures and report of a results folder anew."""
    from looplab.experiments.report import write_report

    click.echo(f"report: {write_report(folder)}")


@cli.command("list", epilog="Example: looplab list regimes")
@click.argument("what", required=False)
def list_choices(what: str | None) -> None:
    """List environments, agents, regimes and all else that can be chosen."""
    from looplab.experiments.catalogue import catalogue

    for group, choices in catalogue(what).items():
        click.echo(f"{group}=")
        width = max(map(len, choices), default=0)
        for name, text in choices.items():
            click.echo(f"  {name:{width}}  {text}")


@cli.command(epilog="Example: looplab bench --json bench.json")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="write the ratios to this file"
)
def bench(json_file: Path | None) -> None:
    """Measure speed, as ratios within one run."""
    from looplab.experiments.bench import bench as measure

    measure(json_file, click.echo)


@cli.command()
def doctor() -> None:
    """Check that this machine can run LoopLab."""
    from looplab.experiments.doctor import doctor as examine

    if not examine(click.echo):
        sys.exit(FAILURE_STATUS)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; people's errors end with one line and status 2, failures with status 1."""
    try:
        cli.main(args=arguments, prog_name="looplab", standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("looplab: interrupted; the same command continues", err=True)
        sys.exit(INTERRUPTED_STATUS)
    except click.ClickException as error:
        _fail(error.format_message(), USAGE_STATUS)
    except UsageError as error:
        _fail(str(error), USAGE_STATUS)
    except LoopLabError as error:
        for failure in getattr(error, "failures", ()):
            if failure.details:
                click.echo(failure.details, err=True)
        usage = getattr(error, "usage", False)
        _fail(str(error), USAGE_STATUS if usage else FAILURE_STATUS)


def _fail(message: str, status: int) -> None:
    click.echo(f"looplab: {' '.join(message.split())}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
