"""`run`."""

from typing import Any

import click

from quafu_runtime import Job
from quafu_runtime import _calls as calls
from quafu_runtime._catalogue import run_fields
from quafu_runtime_cli.commands.follow import CANCEL, TIMEOUT
from quafu_runtime_cli.endings import OK, usage
from quafu_runtime_cli.following import Wish, await_end, follow
from quafu_runtime_cli.inputs import read_input, read_secrets
from quafu_runtime_cli.lookup import PROGRAM, find_program
from quafu_runtime_cli.state import State, common, pass_state


@click.command("run", short_help="Run a program.")
@click.argument("program", type=PROGRAM)
@click.option(
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A property of the input: JSON, or else text. May be repeated; a.b=1 is b inside a.",
)
@click.option("--input", "file", metavar="FILE", help="A JSON file with the input; - for standard input.")
@click.option(
    "--watch", is_flag=True, help="Follow the job: log, interim results, progress; then its result."
)
@click.option("--wait", is_flag=True, help="Wait for the job's end and print its result.")
@TIMEOUT
@CANCEL
@click.option("--version", type=click.IntRange(1), help="Another version than the newest.")
@click.option("--seed", type=click.IntRange(0), help="Fixes what the simulator samples.")
@click.option("--tag", "tags", multiple=True, help="A word to find the job by. May be repeated.")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="More goes first.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME[=@FILE]",
    help="What only the program may read, as SECRET_NAME: from the variable NAME, a file, or asked for.",
)
@click.option("--local", is_flag=True, help="Run the file or folder PROGRAM here, without a runtime.")
@click.option(
    "--python", metavar="PYTHON", help="With --local: the interpreter that has the program's packages."
)
@click.option("--output-dir", metavar="FOLDER", help="With --local: keep the program's output files here.")
@common
@pass_state
def run_command(state: State, /, program: str, local: bool, watch: bool, wait: bool, **given: Any) -> int:
    """Run a program, named by its name or id, and print the job's id.

    With --watch its log and interim results are shown as they come, and its result at the end; with --wait
    only the result. The exit code then tells how the job ended: 0 succeeded, 1 failed, 3 cancelled, 124 not
    ended within --timeout.

    With --local, PROGRAM is a file or a folder, and runs on this machine with no runtime: by the same runner,
    but not isolated.
    """
    value = read_input(given["inputs"], given["file"])
    secrets = read_secrets(given["secrets"])
    if local:
        return _here(state, program, value, secrets, quiet=wait and not watch, given=given)
    if given["python"] or given["output_dir"]:
        raise usage("--python and --output-dir go with --local")
    job = _submitted(state, program, value, secrets, given)
    wish = Wish(given["timeout"], given["cancel_on_interrupt"])
    if watch:
        if state.json:
            state.line({"type": "job", "job": job.refresh().model_dump(mode="json")})
        state.say(f"Job {job.id}")
        return follow(state, job, wish)
    if wait or given["timeout"] is not None:
        state.say(f"Job {job.id}")
        return await_end(state, job, wish)
    if state.json:
        state.document(job.refresh().model_dump(mode="json"))
    else:
        state.text(job.id)
    return OK


def _submitted(state: State, program: str, value: Any, secrets: dict[str, str], given: dict[str, Any]) -> Job:
    fields = run_fields(
        program_id=find_program(state, program),
        name=None,
        inputs=value,
        params=None,
        version=given["version"],
        priority=given["priority"],
        seed=given["seed"],
        tags=given["tags"],
        secrets=secrets,
    )
    client = state.service.client
    view = client.send(calls.submit(fields))
    return Job(view.id, client=client, view=view)


def _here(
    state: State, path: str, value: Any, secrets: dict[str, str], *, quiet: bool, given: dict[str, Any]
) -> int:
    from quafu_runtime_cli.running_here import Here, run_here

    here = Here(
        path,
        value,
        python=given["python"],
        seed=given["seed"],
        timeout=given["timeout"],
        secrets=secrets,
        output=given["output_dir"],
    )
    return run_here(state, here, quiet=quiet)
