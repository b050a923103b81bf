"""Packages whose code attacks the host, other builds, or the executor while it is built."""

import ast
import contextlib
import re
import socket
from pathlib import Path

import pytest

from qrt_executor.adapters.bubblewrap import find_bubblewrap
from qrt_executor.adapters.environment import ProgramEnvironment, probe
from qrt_executor.ports import BuildFailed
from tests.integration.executor.rig import PROGRAM_PYTHON, alive
from tests.integration.executor.world import World, names
from tests.support.engines import require
from tests.support.index import serve_index
from tests.support.waiting import wait_until
from tests.support.wheels import source, wheel
from tests.system.composition import ROOT

pytestmark = [pytest.mark.kipu]


@pytest.fixture(scope="module")
def base() -> ProgramEnvironment:
    require(find_bubblewrap(), what="bubblewrap")
    return probe(PROGRAM_PYTHON)


@pytest.fixture(scope="module")
def packages(scratch: Path) -> Path:
    folder = scratch / "hostile-packages"
    folder.mkdir(mode=0o755)
    wheel(folder, "plain", {"plain.py": "VALUE = 1\n"})
    wheel(folder, "setuptools", {"setuptools.py": ""})
    return folder


@pytest.fixture
def world(base: ProgramEnvironment, packages: Path, scratch: Path, request: pytest.FixtureRequest) -> World:
    return World(base, scratch / f"hostile-{request.node.name[:40]}", packages, seconds=30.0)


def said(world: World, name: str) -> str:
    """Return what a package's code has written into its module while it was built."""
    return next(world.root.glob(f"ready/*/*/venv/lib/python*/site-packages/{name}.py")).read_text()


async def test_a_build_sees_nothing_of_the_host(
    world: World, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRT_EXECUTOR_BUS_URL", "amqp://a-secret")
    (world.root / "secret").write_text("a-secret")
    other = world.directory.private("another-build")
    world.directory.give(other)
    places = ["/etc/shadow", ROOT / "Makefile", world.root / "secret", world.directory.cache]
    places += [world.root / "ready", other, "/var/run/docker.sock", "/root/.ssh"]
    source(
        packages,
        "curious",
        "import os, glob",
        f"seen = [p for p in {[str(each) for each in places]!r} if os.path.exists(p)]",
        "seen += [v for v in os.environ.values() if 'secret' in v]",
        "seen += [p for p in glob.glob('/proc/[0-9]*/environ') if b'secret' in open(p, 'rb').read()]",
        "seen += [p for p in ('/usr/x', '/etc/x', '/x') if not os.system(f'touch {p} 2>/dev/null')]",
        "said = f'SEEN = {seen!r}'",
    )
    await world.make("curious")
    assert said(world, "curious") == "SEEN = []"


CALLER = """
import os, socket
from urllib.request import ProxyHandler, build_opener, urlopen
def tried(call):
    try:
        return str(call())
    except Exception as error:
        return str(getattr(error, 'code', None) or type(error).__name__)
def tunnel(host, port):
    way = socket.create_connection(('127.0.0.1', int(os.environ['HTTP_PROXY'].rpartition(':')[2])), 5)
    way.sendall(f'CONNECT {host}:{port} HTTP/1.1\\r\\n\\r\\n'.encode())
    return way.recv(64).split()[1].decode()
own = f'http://127.0.0.1:{PORT}/'
said = repr([
    tried(lambda: urlopen(os.environ['UV_DEFAULT_INDEX'] + '/plain', timeout=5).status),
    tried(lambda: urlopen(own, timeout=5).status),
    tried(lambda: urlopen('http://example.org/', timeout=5).status),
    tried(lambda: tunnel('127.0.0.1', PORT)),
    tried(lambda: tunnel('localhost', PORT)),
    tried(lambda: tunnel('192.0.2.1', 443)),
    tried(lambda: tunnel('example.org', 443)),
    tried(lambda: build_opener(ProxyHandler({})).open(own, timeout=5)),
    tried(lambda: socket.create_connection(('192.0.2.1', 443), 5)),
])
"""


async def test_a_build_reaches_the_index_and_nothing_else(
    base: ProgramEnvironment, packages: Path, scratch: Path
) -> None:
    with serve_index(packages) as index, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        source(packages, "caller", f"PORT = {elsewhere.getsockname()[1]}", *CALLER.splitlines())
        world = World(base, scratch / "hostile-network", None, index_url=index.url, seconds=60.0)
        await world.make("caller", "plain")
        assert any(path.startswith("/files/caller") for path in index.asked)
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert ast.literal_eval(said(world, "caller")) == ["200", *["403"] * 6, "URLError", "OSError"]


FORKS = """
import os, signal, time
children = []
try:
    while len(children) < 2000:
        child = os.fork()
        if child == 0:
            time.sleep(600)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
raise RuntimeError(f'{len(children)} processes were too many')
"""


async def test_a_build_that_forks_without_end_is_contained(world: World, packages: Path) -> None:
    source(packages, "forks", *FORKS.splitlines())
    found = re.search(r"(\d+) processes were too many", await world.fail("forks"))
    assert found is not None
    assert int(found[1]) < 300
    await wait_until(lambda: not alive(str(world.root)), description="no process of the build")


DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.closerange(0, 64)
        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', ROOT])
    os._exit(0)
said = 'MADE = 1'
"""


async def test_what_a_build_leaves_running_ends_with_it(world: World, packages: Path) -> None:
    source(packages, "daemon", f"ROOT = {str(world.root)!r}", *DAEMON.splitlines())
    await world.make("daemon")
    await wait_until(lambda: not alive(str(world.root)), description="no process of the build")


async def test_a_build_that_takes_all_memory_is_ended(world: World, packages: Path) -> None:
    source(
        packages, "greedy", "held = [b'x' * (64 << 20) for _ in range(64)]", "import time; time.sleep(600)"
    )
    assert "needed more memory than the limit" in await world.fail("greedy")


async def test_a_build_that_closes_its_directories_is_cleared_away(world: World, packages: Path) -> None:
    source(
        packages,
        "closed",
        "os.makedirs('a/b/c')",
        "os.chmod('a/b', 0)",
        "os.chmod('a', 0)",
        "raise ValueError",
    )
    await world.fail("closed")
    assert not list((world.root / "private").iterdir())


async def test_a_build_cannot_put_a_link_in_place_of_its_environment(world: World, packages: Path) -> None:
    source(
        packages,
        "linker",
        "home = os.environ['HOME'].rpartition('/')[0]",
        "import shutil; shutil.rmtree(f'{home}/venv'); os.symlink('/usr', f'{home}/venv')",
        "said = ''",
    )
    await world.fail("linker")
    assert not world.directory.kept()


async def test_one_hostile_build_leaves_the_next_as_it_would_have_been(world: World, packages: Path) -> None:
    wrecking = f"os.system('touch {world.directory.cache}/x; rm -rf {world.root}/* /tmp/* 2>/dev/null')"
    source(packages, "poison", wrecking)
    await world.fail("poison", "nonesuch")
    with contextlib.suppress(BuildFailed):
        await world.make("poison")
    made = await world.make("plain")
    assert (made.path / "venv").is_dir()
    assert "plain.py" in names(made)
    assert not (world.directory.cache / "x").exists()
