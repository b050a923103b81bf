"""`result`, `files`, `download`."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from qrt_contracts.values import OutputFile
from quafu_runtime import Job
from quafu_runtime import _calls as calls
from quafu_runtime._files import named
from quafu_runtime_cli import tables
from quafu_runtime_cli.commands.follow import TIMEOUT
from quafu_runtime_cli.endings import OK, usage
from quafu_runtime_cli.following import Wish, await_end, result_of, tell_result
from quafu_runtime_cli.lookup import JOB
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column


@click.command("result", short_help="Print what a job has returned.")
@click.argument("job", type=JOB)
@click.option("--wait", is_flag=True, help="Wait for the job's end.")
@TIMEOUT
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write it to this file, as JSON.")
@common
@pass_state
def result_command(state: State, job: str, wait: bool, timeout: float | None, output: str | None) -> int:
    """Print what a job has returned, as JSON; of one that has failed, say why."""
    found = state.service.job(job)
    if output is None:
        if wait or timeout is not None:
            return await_end(state, found, Wish(timeout))
        return tell_result(state, result_of(state, found))
    value = found.result(wait=wait or timeout is not None, timeout=timeout)
    if value.get("result") is None:
        return tell_result(state, result_of(state, found))
    Path(output).write_text(value["result"] + "\n", encoding="utf-8")
    if state.json:
        state.document({"job_id": job, "path": output})
    return OK


@click.command("files", short_help="List the files that a job has left.")
@click.argument("job", type=JOB)
@common
@pass_state
def files_command(state: State, job: str) -> None:
    """List the files that a job has left in its output directory, once it has ended."""
    found = state.service.client.send(calls.list_files(job))
    rows = [(each.name, tables.size(each.size), each.sha256[:12]) for each in found.files]
    columns = (Column("NAME"), Column("SIZE", right=True), Column("SHA256"))
    tables.listing(state, found.model_dump(mode="json"), columns, rows, empty="No files.")
    for skipped in found.skipped_files:
        state.say(f"Not kept: {tables.cell(skipped.name)}: {tables.cell(skipped.reason)}")


@click.command("download", short_help="Fetch files that a job has left.")
@click.argument("job", type=JOB)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-o",
    "--output",
    default=".",
    show_default=True,
    metavar="PLACE",
    help="The folder to write to; the file to write one to; - for standard output.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@common
@pass_state
def download_command(state: State, job: str, names: tuple[str, ...], output: str, force: bool) -> None:
    """Fetch files that a job has left: those that are named, or all.

    Each is checked against its digest, and stands there whole or not at all. The folders in their names are
    made below PLACE, and nothing is written anywhere else.
    """
    found = state.service.job(job)
    files = found.files()
    wanted = [named(files, name) for name in names] if names else list(files)
    if output == "-":
        _to_stdout(state, found, wanted)
        return
    written = []
    for file, target in _targets(wanted, output, single=len(names) == 1):
        if target.exists() and not force:
            raise usage(f"{target} is there already", hint="--force writes over it.")
        target.parent.mkdir(parents=True, exist_ok=True)
        found.download(file.name, target)
        written.append({"name": file.name, "path": str(target), "size": file.size})
        if not state.json:
            state.text(f"{tables.cell(target)}  {tables.size(file.size)}")
    if state.json:
        state.document({"job_id": job, "files": written})
    elif not written:
        state.say("The job has left no files.")


def _to_stdout(state: State, job: Job, wanted: Sequence[OutputFile]) -> None:
    if len(wanted) != 1:
        raise usage("-o - writes one file: name it")
    request = calls.file_request(job.id, wanted[0].name)
    for chunk in state.service.client.read(request):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _targets(wanted: Sequence[OutputFile], output: str, *, single: bool) -> list[tuple[OutputFile, Path]]:
    place = Path(output)
    if single and not place.is_dir() and not output.endswith("/"):
        return [(wanted[0], place)]
    return [(each, _below(place, each.name)) for each in wanted]


def _below(folder: Path, name: str) -> Path:
    """Return the place of a file below a folder; its name is a program's, and may try to lead elsewhere."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or os.sep in part or "\0" in part for part in parts):
        raise usage(f"the name {json.dumps(name)} leads out of the folder", hint="Name a file: -o FILE")
    target = folder.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise usage(f"{target.parent} is a link that leads out of the folder")
    return target
