"""The command at a real terminal, against a real runtime; and the README's tour, as it stands there."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest
import pytest_asyncio

from tests.cli.conftest import Command
from tests.cli.readme import tour
from tests.support.waiting import wait_until
from tests.support.wheels import PYDANTIC, installed
from tests.system.composition import PROGRAM_PYTHON, TOKEN, standalone

pytestmark = pytest.mark.cli

BIN = Path(sys.executable).parent
SECONDS = 45
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

SLOW = """
import os
import time

def run(task, userpub, params):
    print("\\x1b]0;owned\\x07begin")
    userpub.progress(1, 4, "warming\\x1b[2Jup")
    userpub.publish({"step": 1})
    deadline = time.monotonic() + params["seconds"]
    while time.monotonic() < deadline:
        time.sleep(0.05)
    open(os.path.join(os.environ["OUTPUT_DIRECTORY"], "kept.txt"), "w").write("kept")
    return {"done": True}
"""


@dataclass(frozen=True)
class Place:
    """A runtime, and a folder with a home of its own to work in."""

    url: str
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        # COLUMNS would say more than the terminal: a runner of tests may have set it.
        own = ("XDG_CONFIG_HOME", "COLUMNS", "LINES")
        kept = {
            name: text
            for name, text in os.environ.items()
            if name not in own and not name.startswith("QUAFU_")
        }
        return kept | {
            "HOME": str(self.folder / "home"),
            "PATH": f"{BIN}:{kept['PATH']}",
            "QRT_PROGRAM_PYTHON": str(PROGRAM_PYTHON),
            "TERM": "xterm-256color",
        }

    def call(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run the command through pipes."""
        ended = subprocess.run(
            [str(BIN / "quafu-runtime"), *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert ended.returncode == code, ended
        return ended

    @contextmanager
    def terminal(self, *arguments: str, columns: int = 80) -> "Iterator[pexpect.spawn[str]]":
        """Run the command at a terminal."""
        session = pexpect.spawn(
            str(BIN / "quafu-runtime"),
            list(arguments),
            cwd=str(self.folder),
            env=self.environ,
            encoding="utf-8",
            timeout=SECONDS,
            dimensions=(40, columns),
        )
        try:
            yield session
        finally:
            session.close(force=True)


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """An index of packages, where every user may read it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, "wheels")
        folder.mkdir(mode=0o755)
        installed(folder, *PYDANTIC)
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> AsyncIterator[Place]:
    """A runtime, and a folder to work in whose home holds the runtime's first token."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "home" / ".quafu-runtime").mkdir(parents=True)
    (folder / "home" / ".quafu-runtime" / "token").write_text(TOKEN + "\n")
    async with standalone(folder / "data", "--wheels", str(wheels)) as whole:
        yield Place(whole.url, folder)


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same runtime, for the command in this process."""
    monkeypatch.setenv("QUAFU_RUNTIME_URL", place.url)
    monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", TOKEN)
    return place


@pytest.fixture
def slow(place: Place) -> str:
    """The name of a program that takes its time; who asks for it is logged in."""
    if not (place.folder / "slow.py").exists():
        with place.terminal("login", place.url) as session:
            session.expect("Token for .*: ")
            session.sendline(TOKEN)
            session.expect("Logged in to .* as me")
            session.expect(pexpect.EOF)
            assert TOKEN not in str(session.before)
        (place.folder / "slow.py").write_text(SLOW)
        place.call("upload", "slow.py")
    return "slow"


def shown(session: "pexpect.spawn[str]") -> str:
    """Return all that was shown to the session's end, without colours."""
    session.expect(pexpect.EOF)
    session.close()
    return ESCAPES.sub("", str(session.before))


def running(session: "pexpect.spawn[str]") -> str:
    """Wait until the followed job has published something; return the job's id."""
    session.expect("Job ([0-9a-f]{32})")
    job = found(session)
    session.expect(re.escape('{"step": 1}'))
    return job


def found(session: "pexpect.spawn[str]") -> str:
    """Return the group of what was expected last."""
    assert isinstance(session.match, re.Match)
    return str(session.match.group(1))


def test_a_token_is_asked_for_without_showing_it_and_the_tables_fit(place: Place, slow: str) -> None:
    place.call("run", slow, "-i", "seconds=0", "--wait")
    for columns in (60, 120):
        with place.terminal("jobs", columns=columns) as session:
            lines = shown(session).splitlines()
        assert "SUCCEEDED" in lines[1]
        assert max(map(len, lines)) <= columns


def test_watching_shows_a_bar_and_what_programs_print_commands_no_terminal(place: Place, slow: str) -> None:
    with place.terminal("run", slow, "-i", "seconds=0.3", "--watch", columns=60) as session:
        session.expect(pexpect.EOF)
        session.close()
        assert session.exitstatus == 0
    text = str(session.before)
    assert "\x1b]0" not in text
    assert "\x1b[2J" not in text
    plain = ESCAPES.sub("", text)
    assert "\\x1b]0;owned\\x07begin" in plain
    assert "[########......................]  25% 1/4 warming\\x1b[2Jup" in plain
    assert re.search(r'\{"done": true\}', plain)


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_come_back(place: Place, slow: str) -> None:
    with place.terminal("run", slow, "-i", "seconds=5", "--watch") as session:
        job = running(session)
        session.sendintr()
        session.expect(f"Come back: +(quafu-runtime watch {job} --after [0-9]+ --attempt 1)")
        back = found(session).split()
        session.expect(pexpect.EOF)
        session.close()
        assert session.exitstatus == 130
    with place.terminal(*back[1:]) as session:
        session.expect("SUCCEEDED in")
        assert "begin" not in str(session.before)


def test_a_second_ctrl_c_cancels_and_so_does_the_first_one_if_that_is_wished(place: Place, slow: str) -> None:
    with place.terminal("run", slow, "-i", "seconds=60", "--watch") as session:
        running(session)
        session.sendintr()
        session.expect("Ctrl-C again")
        session.sendintr()
        session.expect("CANCELLED")
        session.expect(pexpect.EOF)
        session.close()
        assert session.exitstatus == 3
    options = ("-i", "seconds=60", "--watch", "--cancel-on-interrupt")
    with place.terminal("run", slow, *options) as session:
        running(session)
        session.sendintr()
        session.expect("CANCELLED")
        session.expect(pexpect.EOF)
        session.close()
        assert session.exitstatus == 3


def test_through_pipes_lines_come_at_once_and_nobody_reading_is_no_error(place: Place, slow: str) -> None:
    command = [str(BIN / "quafu-runtime"), "run", slow, "-i", "seconds=30", "--watch", "--json"]
    with subprocess.Popen(
        command, env=place.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        assert [line["type"] for line in lines] == ["job", "log", "interim", "interim"]
        assert process.poll() is None  # the job has not ended, and its first lines are here
        process.send_signal(signal.SIGINT)
        assert json.loads(process.stdout.readline())["type"] == "detached"
        assert process.wait(SECONDS) == 130
    place.call("cancel", lines[0]["job"]["id"])
    piped = subprocess.run(
        ["bash", "-c", "quafu-runtime jobs --json | head -c 1; echo ${PIPESTATUS[0]}"],
        env=place.environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert (piped.stdout.split("{")[1].strip() in ("0", "141"), piped.stderr) == (True, "")


def test_files_are_listed_downloaded_and_never_written_over(here: Place, slow: str, command: Command) -> None:
    job = command("run", slow, "-i", "seconds=0", "--wait", "--json").json["job_id"]
    assert [file["name"] for file in command("files", job, "--json").json["files"]] == ["kept.txt"]
    told = command("download", job, "-o", "fetched/", "--json").json
    assert Path(told["files"][0]["path"]).read_text() == "kept"
    assert "--force" in command("download", job, "-o", "fetched/").err
    assert here.call("download", job, "kept.txt", "-o", "-").stdout == "kept"


def test_administrators_keep_users_groups_and_tokens(
    here: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = command("admin", "users", "add", "vera", "--role", "viewer", "--json").json["token"]
    assert command("admin", "groups", "add", "lab").code == 0
    assert command("admin", "groups", "add", "lab", "vera", "--json").json["members"] == ["vera"]
    accounts = {each["name"]: each for each in command("admin", "users", "--json").json["accounts"]}
    assert (accounts["vera"]["role"], accounts["vera"]["groups"]) == ("viewer", ["lab"])
    with monkeypatch.context() as changed:
        changed.setenv("QUAFU_RUNTIME_TOKEN", token)
        refused = command("admin", "users", "--json")
    assert (refused.code, refused.problem["code"]) == (4, "Forbidden")
    made = command(
        "admin", "tokens", "--account", "vera", "create", "reading", "--scope", "read", "--json"
    ).json
    listed = command("admin", "tokens", "--account", "vera", "--json").json["tokens"]
    assert made["id"] in {each["id"] for each in listed}
    assert command("admin", "tokens", "revoke", made["id"], "--account", "vera").code == 0
    assert command("admin", "users", "set", "vera", "--disable", "--json").json["disabled"]
    assert command("admin", "groups", "remove", "lab").code == 0
    asyncio.run(wait_until(lambda: "/v1/accounts/vera" in audited(command), description="an audit entry"))


def test_operators_drain_executors_and_look_at_dead_letters(here: Place, command: Command) -> None:
    del here

    def executor() -> dict[str, object]:
        found: dict[str, object] = command("admin", "executors", "--json").json["executors"][0]
        return found

    name = str(executor()["name"])
    for verb, draining in (("drain", True), ("undrain", False)):
        told = command("admin", verb, name, "--json").json
        assert told == {"name": name, "draining": draining}
        wanted = wait_until(lambda on=draining: executor()["draining"] is on, description=verb)
        asyncio.run(wanted)
    queues = {
        each["queue"]: each["letters"] for each in command("admin", "dead-letters", "--json").json["queues"]
    }
    queue = next(iter(queues))
    assert command("admin", "dead-letters", queue, "--json").json == {"letters": []}
    assert command("admin", "dead-letters", queue, "--replay-all").out == "Replayed 0\n"
    assert command("admin", "dead-letters", queue, "--replay", "no-such-letter").code == 4
    assert command("admin", "drain", "nobody").code == 4


def audited(command: Command) -> set[str]:
    """Return what the audit log tells of."""
    entries = command("admin", "audit", "--account", "me", "--limit", "500", "--json").json["entries"]
    return {each["resource"] for each in entries}


def test_the_tour_of_the_readme_shows_what_it_says(place: Place) -> None:
    """All of it in one shell and a folder of its own; the address alone is another one."""
    folder = place.folder / "tour"
    folder.mkdir()
    steps = tour()
    assert len(steps) > 15
    mark = "--- that was a step ---"
    script = "".join(f"{step.command}\necho '{mark}'\n" for step in steps)
    session = pexpect.spawn(
        "bash",
        ["-u", "-c", script.replace("http://127.0.0.1:8000", place.url)],
        cwd=str(folder),
        env=place.environ | {"QUAFU_RUNTIME_URL": place.url},
        encoding="utf-8",
        timeout=240,
        dimensions=(40, 120),
    )
    said = shown(session).replace("\r", "\n").replace(place.url, "http://127.0.0.1:8000")
    outputs = said.split(mark)
    assert len(outputs) == len(steps) + 1, said
    for step, output in zip(steps, outputs, strict=False):
        missing = step.missing(output)
        assert missing is None, f"{step.command}\n{output}\ndoes not show: {missing}"
    assert session.exitstatus == 0
