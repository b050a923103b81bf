"""The canary: a hostile program run at start, to see what holds here instead of believing it."""

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

from qrt_contracts.values import Limits
from qrt_executor.adapters.jail import Jail
from qrt_executor.adapters.wire import Frame
from qrt_executor.ports import InterimKind, Order, Stream

_SECONDS = 15.0

_SOURCE = """
import ctypes, os, socket, struct, time

def fails(act):
    try:
        act()
    except OSError:
        return True
    return False

def opens(family):
    with socket.socket(family, socket.SOCK_STREAM if family != 16 else socket.SOCK_RAW):
        pass

def daemon():
    if os.fork() == 0:
        fails(os.setsid)
        if os.fork() == 0:
            os.closerange(0, 64)
            time.sleep(600)
        os._exit(0)
    os.wait()

def call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)

PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS = 21, 39

def asked(option):
    return ctypes.CDLL(None).prctl(option, 0, 0, 0, 0)

def status():
    lines = open("/proc/self/status").read().splitlines()
    return dict(line.split(":", 1) for line in lines)

def run(task, userpub, params):
    daemon()
    os.write(3, struct.pack("!BI", params["call"], 6) + b"daemon")
    os.read(3, 64)  # until it has been seen
    if params["level"] == "process":
        return {}
    found = {
        "cannot write to the root": fails(lambda: open("/written", "w")),
        "cannot write to /dev": fails(lambda: open("/dev/written", "w")),
        "cannot write to /etc": fails(lambda: open("/etc/written", "w")),
        "cannot see the executor's files": fails(lambda: open(params["file"])),
        "cannot connect to the host": fails(
            lambda: socket.create_connection(("127.0.0.1", params["port"]), timeout=2)
        ),
        "cannot open AF_VSOCK": fails(lambda: opens(40)),
        "cannot open AF_NETLINK": fails(lambda: opens(16)),
        "cannot make namespaces": fails(lambda: call("unshare", 0x10000000)),
        "cannot mount": fails(lambda: call("mount", b"x", b"/tmp", b"tmpfs", 0, None)),
        "cannot gain privileges": asked(PR_GET_NO_NEW_PRIVS) == 1,
        "has a system call filter": asked(PR_GET_SECCOMP) == 2,
    }
    return found | (jailed(params) if params["level"] == "jail" else confined())

def jailed(params):
    facts = status()
    found = {
        "sees no process but its own": all(int(p) < 10 for p in os.listdir("/proc") if p.isdigit()),
        "has no capability": int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0,
        "cannot look into its keeper": fails(lambda: open("/proc/1/mem", "rb")),
        "is one user among none": open("/proc/self/uid_map").read().split()[2] == "1",
    }
    with open("/tmp/filled", "wb") as file:
        found["has a disk limit"] = fails(lambda: os.posix_fallocate(file.fileno(), 0, params["disk"] + 1))
    return found

def confined():
    return {
        "cannot look into processes": fails(lambda: os.listdir("/proc")),
        "cannot signal what is not its own": fails(lambda: os.kill(os.getppid(), 0)),
        "cannot leave its session": fails(os.setsid) and fails(lambda: os.setpgid(0, 0)),
        "cannot read accounts": fails(lambda: open("/etc/passwd")),
        "cannot write to /tmp": fails(lambda: open("/tmp/written", "w")),
        "cannot open a socket": fails(lambda: opens(1)),
        "has a place of its own": not fails(lambda: open("own", "w").close()),
    }
"""


class CanaryFailed(Exception):
    """The level does not hold what it promises here; the text says what it does not."""


class _Ears:
    """A sink that notes the attempt's processes at the moment its daemon lives."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self.alive: list[int] = []
        self.heard = ""

    def log(self, stream: Stream, data: bytes) -> None:
        del stream
        self.heard += data.decode("utf-8", "replace")[:2000]

    def interim(self, kind: InterimKind, data: bytes) -> None:
        del kind, data

    def violation(self, detail: str) -> None:
        self.heard += detail

    async def room(self) -> None:
        return

    async def call(self, question: bytes) -> bytes:
        del question
        self.alive = self._jail.processes()
        return b"{}"


async def prove(jail: Jail, *, home: Path, limits: Limits) -> None:
    """Run the canary in `jail` and close it. Raises CanaryFailed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        secret = home / "canary"
        os.close(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o644))
        given = {
            "level": jail.isolation.value,
            "port": server.getsockname()[1],
            "file": str(secret),
            "disk": limits.disk_bytes,
            "call": int(Frame.CALL),
        }
        order = Order(source=_SOURCE.encode(), input=json.dumps(given), backend=None, limits=limits)
        try:
            async with asyncio.timeout(_SECONDS):
                await _prove(jail, order)
        except TimeoutError:
            raise CanaryFailed("the canary did not end") from None
        finally:
            await jail.close()


async def _prove(jail: Jail, order: Order) -> None:
    ears = _Ears(jail)
    await jail.start(order)
    claims = await jail.converse(ears)
    exit_ = await jail.ended()
    if exit_ is None or claims.result is None:
        said = claims.error.detail if claims.error is not None else ears.heard
        raise CanaryFailed(f"the canary did not run: {said or exit_}")
    _check(json.loads(claims.result))
    if not ears.alive:
        raise CanaryFailed("the canary's daemon was not seen")
    left = [pid for pid in ears.alive if _is_ours(pid, jail)]
    if left:
        raise CanaryFailed(f"processes of an ended attempt are left: {left}")


def _is_ours(pid: int, jail: Jail) -> bool:
    """Tell whether a pid is alive and still its user's (it may have been given away again)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and os.stat(f"/proc/{pid}").st_uid == jail.uid
    except OSError:
        return False


def _check(found: dict[str, Any]) -> None:
    broken = [what for what, holds in found.items() if holds is not True]
    if broken:
        raise CanaryFailed("a program here does not hold to: it " + "; it ".join(broken))
