"""The descriptors that a spawned attempt gets from the executor, in fixed places."""

import errno
import fcntl
import os
from dataclasses import dataclass

EVENTS, STDOUT, STDERR, STATUS, FIRST_CGROUP = 3, 4, 5, 6, 7
"""Where the first `cgroup.procs` file stands, if the executor has sent any to join."""


@dataclass(frozen=True)
class Ends:
    """An attempt's ends: event socket, both output pipes, status pipe, cgroup files, a jail's keeper."""

    cgroups: tuple[int, ...]
    keeper: int
    """The pidfd of the jail's keeper; -1 without a jail."""

    def close_all_but_status(self) -> None:
        """Keep what an init needs while the program runs: its standard streams and the status pipe."""
        for fd in (EVENTS, STDOUT, STDERR, *self.cgroups):
            os.close(fd)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)

    def close_all_but_events(self) -> None:
        """Keep what a program's process needs: its standard streams and the event socket."""
        os.closerange(STDOUT, FIRST_CGROUP + len(self.cgroups) + 1)


def take(received: list[int], *, keeper: int = -1) -> Ends:
    """Move the received descriptors and a keeper's to their places; close every other one above stderr."""
    given = received if keeper < 0 else [*received, keeper]
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in given]
    for place, fd in enumerate(high, start=EVENTS):
        os.dup2(fd, place, inheritable=False)
    os.closerange(EVENTS + len(high), os.sysconf("SC_OPEN_MAX"))
    last = EVENTS + len(received)
    return Ends(cgroups=tuple(range(FIRST_CGROUP, last)), keeper=last if keeper >= 0 else -1)


def join(own: Ends) -> None:
    """Move this process into the cgroups whose `cgroup.procs` the executor has opened.

    Ends it where they are gone: the executor has given the attempt up.
    """
    for fd in own.cgroups:
        try:
            os.write(fd, b"0")
        except OSError as exc:
            if exc.errno != errno.ENODEV:
                raise
            os._exit(0)


def redirect_streams() -> None:
    """Make the attempt's pipes this process's stdout and stderr, and its stdin empty."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(STDOUT, 1)
    os.dup2(STDERR, 2)
