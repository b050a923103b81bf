"""What starts sandboxes: nothing starts for an executor that has gone."""

import os
import socket
import subprocess

import pytest

from qrt_executor.adapters.launcher import launched


@pytest.mark.parametrize(("parent", "said"), [(1, ""), (None, "started\n")], ids=["gone", "here"])
def test_a_command_starts_for_the_executor_that_asked_and_for_no_other(
    parent: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if parent is not None:
            monkeypatch.setattr(os, "getpid", lambda: parent)
        command = launched(["/bin/echo", "started"], control=theirs.fileno(), user=(61000, 61000), reach=())
        monkeypatch.undo()
        ended = subprocess.run(
            command, pass_fds=(theirs.fileno(),), capture_output=True, text=True, timeout=30, check=False
        )
    assert (ended.stdout, ended.returncode == 0) == (said, bool(said))
    assert bool(said) != ("the executor has gone" in ended.stderr)
