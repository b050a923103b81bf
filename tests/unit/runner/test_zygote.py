"""A zygote whose fork fails."""

import array
import errno
import json
import os
import socket
from typing import Any, cast

import pytest

from qrt_runner.zygote import Zygote


class _Full:
    """Jails on a machine without room for one more process."""

    def fork(self, **_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "no more processes")


def test_a_fork_that_fails_closes_what_was_given_and_ends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with ours, theirs:
        zygote = Zygote(theirs, level="jail", jails=cast("Any", _Full()), readable=[], task_class=None)
        request = {"disk_bytes": 1, "network": False, "host_network": False}
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writing] * 4))
        ours.sendmsg([json.dumps(request).encode()], [rights])
        os.close(writing)
        assert zygote._answer()
    assert os.read(reading, 1) == b"", "somebody still holds the attempt's end"
    os.close(reading)
    assert "no more processes" in capfd.readouterr().err
