"""`watch`, `logs`."""

import sys

import click

from quafu_runtime import Job, LogText
from quafu_runtime import _calls as calls
from quafu_runtime._harmless import harmless
from quafu_runtime_cli.following import Wish, follow
from quafu_runtime_cli.lookup import JOB
from quafu_runtime_cli.screen import Screen
from quafu_runtime_cli.state import State, common, pass_state

TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="The longest to wait."
)
CANCEL = click.option(
    "--cancel-on-interrupt", is_flag=True, help="Ctrl-C cancels the job in place of leaving it alone."
)


@click.command("watch", short_help="Follow a job: its log, interim results and progress.")
@click.argument("job", type=JOB)
@click.option("--after", type=click.IntRange(0), default=0, help="Begin after the output of this number.")
@click.option("--attempt", type=click.IntRange(0), default=0, help="What --after was a number of.")
@TIMEOUT
@CANCEL
@common
@pass_state
def watch_command(
    state: State, job: str, after: int, attempt: int, timeout: float | None, cancel_on_interrupt: bool
) -> int:
    """Follow a job to its end, from its first output on: its log, interim results, progress, result.

    The connection may break and the runtime restart: what was missed comes then, once. Ctrl-C leaves the job
    alone and says how to come back.
    """
    found = state.service.job(job)
    wish = Wish(timeout, cancel_on_interrupt, after=after, attempt=attempt)
    return follow(state, found, wish)


@click.command("logs", short_help="Print what a job has printed.")
@click.argument("job", type=JOB)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job ends.")
@click.option("--raw", is_flag=True, help="Print the text as it is, with its control characters.")
@common
@pass_state
def logs_command(state: State, job: str, following: bool, raw: bool) -> None:
    """Print what a job has printed so far; with -f, also what it prints from now on.

    Control characters are written out, so that a program cannot command your terminal.
    """
    found = state.service.job(job)
    if following:
        _follow(state, found, raw=raw)
        return
    text = state.service.client.send(calls.get_logs(job))
    if state.json:
        state.document({"job_id": job, "text": text})
        return
    sys.stdout.write(text if raw else harmless(text))
    sys.stdout.flush()


def _follow(state: State, job: Job, *, raw: bool) -> None:
    screen = Screen(state, only_log=True)
    with job.outputs() as outputs:
        for output in outputs:
            if raw and not state.json:
                sys.stdout.write(output.text if isinstance(output, LogText) else "")
                sys.stdout.flush()
            else:
                screen.output(output)
