"""Command line of the conformance kit: one line per check."""

import click
import gymnasium as gym

import looplab  # noqa: F401  # registers the native tasks
from looplab.envs.checks import CHECKS, examine, find
from looplab.envs.errors import UsageError
from looplab.envs.registration import TASKS


@click.command(epilog=f"Checks: {', '.join(CHECKS)}.")
@click.argument("tasks", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Check all of LoopLab's own tasks.")
@click.option("--only", multiple=True, help="Run this check alone; may be given again.")
def main(tasks: tuple[str, ...], every: bool, only: tuple[str, ...]) -> None:
    """Checks that TASKS keep the contract of LoopLab's tasks.

    A task is a Gymnasium id, module:id, or module:function that builds lanes. Exit status: 0 if all
    is well, 1 if a check failed, 2 for bad input.
    """
    if every:
        tasks += tuple(TASKS)
    if not tasks:
        raise click.UsageError("name at least one task, or --all")
    failed = 0
    try:
        for found in [find(name) for name in tasks]:
            click.echo(found.name)
            for result in examine(found, only):
                failed += result.status == "FAILED"
                click.echo(f"  {result}")
    except (UsageError, gym.error.Error) as error:
        raise click.UsageError(str(error)) from error
    many = "" if failed == 1 else "s"
    click.echo(f"{failed} check{many} failed" if failed else "all is well")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main(prog_name="python -m looplab.envs.checks")
