"""What each command answers, for people and as JSON, and how it ends."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quafu_runtime_cli.main import COMMANDS, cli
from quafu_runtime_cli.profiles import config_file
from tests.cli.conftest import Command
from tests.sdk.stand_in import TOKEN, Served

pytestmark = pytest.mark.cli

COUNT = """
def run(task, userpub, params):
    for step in range(params["steps"]):
        userpub.publish({"step": step})
        print("step", step)
    return {"steps": params["steps"]}
"""


@pytest.fixture
def program(served: Served) -> str:
    del served
    Path("count.py").write_text(COUNT)
    return "count.py"


def test_a_program_goes_from_a_file_to_its_result(command: Command, program: str) -> None:
    assert command("upload", program).out == "count v1 ready\n"
    job = command("run", "count", "-i", "steps=2").out.strip()
    assert command("result", "--wait", job).out == '{"steps": 2}\n'
    assert command("logs", job).out == "step 0\nstep 1\n"
    assert "SUCCEEDED" in command("status", job).out
    assert job in command("jobs", "--program", "count").out


def test_a_program_is_shared_and_described_anew(command: Command, program: str) -> None:
    command("upload", program)
    assert command("edit", "count", "--visibility", "public").out == "count seen by public\n"
    assert command("edit", "count", "--group", "lab", "--group", "staff").out == (
        "count seen by group, lab, staff\n"
    )
    told = command("edit", "count", "--private", "--name", "counts", "--max-attempts", "1", "--json").json
    assert (told["name"], told["visibility"], told["max_attempts"]) == ("counts", "private", 1)
    assert "private" in command("programs").out
    nothing = command("edit", "counts")
    assert (nothing.code, "nothing to change" in nothing.err) == (2, True)
    both = command("edit", "counts", "--public", "--group", "lab")
    assert (both.code, "either public or --group" in both.err) == (2, True)


def test_following_shows_outputs_in_order_and_the_result_last(command: Command, program: str) -> None:
    command("upload", program)
    ended = command("run", "count", "-i", "steps=2", "--watch")
    assert ended.code == 0
    assert ended.out.splitlines() == [*('* {"step": 0}', "step 0", '* {"step": 1}', "step 1", '{"steps": 2}')]


def test_following_as_json_is_one_document_a_line(command: Command, program: str) -> None:
    command("upload", program)
    lines = command("run", "count", "-i", "steps=1", "--watch", "--json").lines
    assert [line["type"] for line in lines] == ["job", "interim", "log", "end"]
    assert lines[1]["value"] == {"step": 0}
    assert lines[1]["encoding"] == "json"
    assert lines[2]["text"] == "step 0\n"
    assert lines[3] | {"result": {"steps": 1}, "status": "SUCCEEDED", "problem": None} == lines[3]


def test_a_failure_is_told_with_its_traceback_and_exit_code_one(command: Command, program: str) -> None:
    command("upload", program)
    ended = command("run", "count", "--watch")
    assert ended.code == 1
    assert "TypeError" in ended.err
    assert "Traceback" in ended.err
    told = command("run", "count", "--wait", "--json")
    assert told.code == 1
    assert told.json["status"] == "FAILED"
    assert told.problem["code"] == "ProgramError"


def test_a_cancelled_job_is_exit_code_three(command: Command, served: Served) -> None:
    Path("stuck.py").write_text("def run(task, userpub, params):\n    while True:\n        pass\n")
    command("upload", "stuck.py")
    job = command("run", "stuck").out.strip()
    late = command("watch", job, "--timeout", "0.2")
    assert (late.code, "goes on" in late.err) == (124, True)
    assert command("result", job).code == 4
    assert command("cancel", job).out == f"{job}  CANCELLED\n"
    assert command("result", job, "--json").problem["code"] == "Cancelled"
    assert command("watch", job).code == 3
    assert command("rm", job).code == 0
    assert command("status", job).code == 4


def test_every_page_of_a_list_is_read_if_all_is_asked_for(command: Command, program: str) -> None:
    command("upload", program)
    started = {command("run", "count", "-i", "steps=0", "--tag", "many").out.strip() for _ in range(4)}
    told = command("jobs", "--limit", "3", "--json").json
    assert (len(told["jobs"]), told["more"]) == (3, True)
    told = command("jobs", "--all", "--tag", "many", "--json").json
    assert ({job["id"] for job in told["jobs"]}, told["more"]) == (started, False)
    assert "--all" in command("jobs", "--limit", "3").err


def test_a_push_makes_a_new_version_of_the_program_of_that_name(command: Command, program: str) -> None:
    command("upload", program)
    assert command("upload", program).err.splitlines()[-1] == (
        "Give it a new version: quafu-runtime push PATH"
    )
    Path("count.py").write_text(COUNT + "\n# changed\n")
    assert command("push", program).out == "count v2 ready\n"
    told = command("programs", "count", "--json").json
    assert [version["number"] for version in told["versions"]] == [2, 1]
    assert command("programs", "count", "--source").out.rstrip().endswith("# changed")
    assert command("push", program, "cuont").err.splitlines()[-1] == "Did you mean count?"


def test_an_unknown_program_is_answered_with_the_nearest_names(command: Command, program: str) -> None:
    command("upload", program)
    ended = command("run", "cuont", "--json")
    assert ended.code == 4
    assert ended.problem == {
        "type": "about:blank",
        "title": "Not found",
        "detail": "you have no program named 'cuont'",
        "code": "NotFound",
        "hint": "Did you mean count?",
    }


def test_a_login_is_kept_for_its_owner_alone_and_used(
    command: Command, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUAFU_RUNTIME_TOKEN")
    monkeypatch.delenv("QUAFU_RUNTIME_URL")
    Path("token").write_text(TOKEN + "\n")
    with Path("token").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert command("login", served.url, "--token-stdin", "--profile", "lab").code == 0
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(config_file().parent.stat().st_mode) == 0o700
    assert "tester" in command("whoami", "--profile", "lab").out
    assert command("whoami").code == 4
    assert "there are lab" in command("whoami", "--profile", "home").err
    monkeypatch.setenv("QUAFU_RUNTIME_URL", "http://127.0.0.1:9")
    assert "QUAFU_RUNTIME_TOKEN" in command("whoami", "--profile", "lab").err
    monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", "another")
    assert "Start a runtime" in command("whoami", "--profile", "lab").err
    assert command("logout", "--profile", "lab", "--json").json == {"profile": "lab", "forgotten": True}


def test_a_token_that_is_refused_is_not_kept(
    command: Command, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("token").write_text("wrong")
    with Path("token").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        ended = command("login", served.url, "--token-stdin")
    assert (ended.code, "quafu-runtime login" in ended.err) == (4, True)
    assert not config_file().exists()


def test_without_a_terminal_login_says_how_to_give_the_token(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("nothing").touch()
    with Path("nothing").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        ended = command("login", "http://127.0.0.1:9")
    assert (ended.code, "--token-stdin" in ended.err) == (2, True)


@pytest.mark.parametrize("kind", ["quafu", "template", "container"])
def test_init_makes_a_program_that_says_what_to_do_next(command: Command, kind: str) -> None:
    ended = command("init", "new", "--kind", kind)
    assert ended.code == 0
    assert "quafu-runtime upload new" in ended.err
    assert json.loads(Path("new/input.json").read_text())
    assert command("init", "new", "--kind", kind).code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "There is no command 'frobnicate'"),
        (["stats"], "Did you mean status?"),
        (["jobs", "--limit", "0"], "--limit"),
        (["run"], "Missing argument"),
        (["upload"], "PATH or --image"),
        (["upload", "absent.py"], "does not exist"),
        (["run", "--local", "absent.py"], "is not there"),
        (["admin", "users", "set", "bob"], "nothing to change"),
    ],
)
def test_a_wrong_command_line_is_exit_code_two(command: Command, arguments: list[str], told: str) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    as_json = command(*arguments, "--json")
    assert (as_json.code, told in as_json.problem["detail"] + as_json.problem["hint"]) == (2, True)


def test_a_runtime_that_is_not_there_is_told_with_what_to_do(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAFU_RUNTIME_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", "any")
    ended = command("jobs", "--json")
    assert ended.code == 4
    assert ended.problem["code"] == "Unreachable"
    assert "quafu-runtime up" in ended.problem["hint"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_what_completes_the_command(command: Command, shell: str) -> None:
    assert f"_QUAFU_RUNTIME_COMPLETE={shell}_complete" in command("completion", shell).out


def test_a_shell_completes_the_names_of_programs(
    command: Command, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("upload", program)
    monkeypatch.setenv("COMP_WORDS", "quafu-runtime run cou")
    monkeypatch.setenv("COMP_CWORD", "2")
    words = subprocess.run(
        [sys.executable, "-c", "from quafu_runtime_cli.main import cli; cli(prog_name='quafu-runtime')"],
        env={**_environ(), "_QUAFU_RUNTIME_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert words.stdout == "plain,count\n"


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_the_library_does_not_import_what_the_command_needs() -> None:
    script = (
        "import sys, quafu_runtime\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'click', 'rich', 'platformdirs', 'pygments', 'quafu_runtime_cli', 'qrt_runner'}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "[]"


def test_help_lists_each_command_as_it_describes_itself() -> None:
    import click

    context = click.Context(cli)
    for name, (_, short) in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.name, command.short_help) == (name, short)
