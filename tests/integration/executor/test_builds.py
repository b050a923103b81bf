"""Environments made of a folder of packages, by uv in its sandbox: what comes of them, and what cannot."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from qrt_executor.adapters.bubblewrap import find_bubblewrap
from qrt_executor.adapters.environment import ProgramEnvironment, probe
from qrt_executor.domain.packages import Wanted
from tests.integration.executor.rig import PROGRAM_PYTHON, alive
from tests.integration.executor.world import World, names
from tests.support.engines import require
from tests.support.waiting import wait_until
from tests.support.wheels import compiled, source, wheel

pytestmark = [pytest.mark.kipu]


@pytest.fixture(scope="module")
def base() -> ProgramEnvironment:
    require(find_bubblewrap(), what="bubblewrap")
    return probe(PROGRAM_PYTHON)


@pytest.fixture(scope="module")
def wheels(scratch: Path) -> Path:
    """A folder with packages of every sort."""
    folder = scratch / "wheels"
    folder.mkdir(mode=0o755)
    wheel(folder, "plain", {"plain.py": "VALUE = 1\n"})
    wheel(folder, "needy", {"needy.py": ""}, requires=["nowhere>=2"])
    wheel(folder, "six", {"six.py": "WHOSE = 'the index'\n"})
    compiled(folder, "fast")
    source(folder, "built", "said = 'MADE = 1'")
    source(folder, "broken", "raise RuntimeError('this setup is broken')")
    source(folder, "vague", "raise RuntimeError('this setup is broken')", open_ended=True)
    source(folder, "endless", "import time", "time.sleep(600)")
    source(
        folder,
        "huge",
        "for number in range(4): open(str(number), 'wb').write(bytes(64 << 20))",
        "import time; time.sleep(600)",
    )
    return folder


@pytest.fixture
def world(base: ProgramEnvironment, wheels: Path, scratch: Path, request: pytest.FixtureRequest) -> World:
    return World(base, scratch / f"environments-{request.node.name[:40]}", wheels)


async def test_pure_compiled_and_source_packages_are_installed_once(world: World) -> None:
    one = await world.make("plain", "fast", "built")
    assert {"plain.py", "fast.so", "built.py"} <= names(one)
    assert all("--hash=sha256:" in line for line in one.lock)
    assert any("building sources" in line for line in world.said), world.said
    world.said.clear()
    again = await world.make("built", "fast", "plain")
    assert (again.key, again.path) == (one.key, one.path)
    assert not any("Installing" in line for line in world.said)
    assert any("made before" in line and "fast==1.0" in line for line in world.said), world.said


async def test_trusted_packages_stand_apart_where_no_other_package_can_write(
    world: World, wheels: Path
) -> None:
    wheel(wheels, "thief", {"six.py": "WHOSE = 'the thief'\n", "thief.pth": "import os\n"})
    made = await world.make("six", "thief")
    assert (made.path / "trusted" / "six.py").read_text() == "WHOSE = 'the index'\n"
    assert "thief.pth" in names(made)


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("nonesuch", "there is no package nonesuch"),
        ("plain==9.9", "plain==9.9"),
        ("needy", "there is no package nowhere"),
        ("broken", "broken==1.0 cannot be built from its source"),
        ("vague", "vague==1.0 cannot be built from its source"),
        ("../plain", "names no package"),
        ("plain @ file:///etc/passwd", "packages come from the operator's index alone"),
        ("--index-url https://me:secret@example.org/simple", "cannot be used in requirements here"),
    ],
)
async def test_a_requirement_at_fault_is_named(world: World, requirement: str, said: str) -> None:
    detail = await world.fail("plain", requirement)
    assert said in detail.partition("\n")[0], detail
    assert "secret" not in detail
    assert str(world.root) not in detail
    assert not list(world.directory.kept())
    assert not list((world.root / "shared" / "building").iterdir())
    assert not list((world.root / "private").iterdir())


async def test_a_broken_build_ends_with_what_it_said(world: World) -> None:
    assert "RuntimeError: this setup is broken" in await world.fail("broken")


async def test_a_failure_is_remembered_for_a_while(world: World) -> None:
    first = await world.fail("nonesuch")
    world.said.clear()
    assert await world.fail("nonesuch") == first
    assert not world.said


async def test_a_build_that_hangs_is_killed_with_all_it_started(
    base: ProgramEnvironment, wheels: Path, scratch: Path
) -> None:
    world = World(base, scratch / "environments-hanging", wheels, seconds=4.0)
    detail = await world.fail("endless")
    assert "longer than the limit of 4 seconds" in detail
    await wait_until(lambda: not alive(str(world.root)), description="no process of the build")


async def test_a_build_that_fills_the_disk_is_ended(world: World) -> None:
    assert "needed more disk than the limit" in await world.fail("huge")
    assert not alive(str(world.root))


async def test_builds_of_one_set_at_once_happen_once_and_outlive_a_waiter(world: World) -> None:
    waiters = [asyncio.create_task(world.make("plain", "fast")) for _ in range(4)]
    await wait_until(lambda: world.said, description="the build's first line")
    waiters[0].cancel()
    made = await asyncio.gather(*waiters[1:])
    assert len({each.path for each in made}) == 1
    log = sorted(line for line in world.said if line.startswith(("Installing", "The environment")))
    assert len(set(log)) == 2, "one build, told to each of those who waited to the end"
    assert len(log) in (6, 7), log


async def test_a_build_that_nobody_waits_for_ends(world: World) -> None:
    waiter = asyncio.create_task(world.make("endless"))
    building = f"{world.root}/private"
    await wait_until(lambda: alive(building), description="the build's process", seconds=20)
    waiter.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiter
    await wait_until(lambda: not alive(str(world.root)), description="no process of the build")
    await world.kept.close()


async def test_two_executors_on_one_directory_make_one_environment(
    base: ProgramEnvironment, wheels: Path, scratch: Path
) -> None:
    root = scratch / "environments-shared"
    one, two = World(base, root, wheels), World(base, root, wheels)
    made = await asyncio.gather(one.make("plain", "fast"), two.make("plain", "fast"))
    assert made[0].path == made[1].path
    assert sum("Installing" in line for line in one.said + two.said) == 1


async def test_what_is_used_least_goes_when_room_is_short_and_what_is_used_stays(world: World) -> None:
    first, second = await world.make("plain"), await world.make("fast")
    os.utime(first.path / "complete.json", (1, 1))
    os.utime(second.path / "complete.json", (2, 2))
    async with world.kept.hold(Wanted(requirements=("plain",)), say=world.said.append) as held:
        os.utime(first.path / "complete.json", (1, 1))
        world.directory.make_room(1)
        assert [kept.key for kept in world.directory.kept()] == [held.key]
    world.directory.make_room(1)
    assert not world.directory.kept()
    assert (await world.make("plain")).key == first.key


async def test_an_operator_lets_in_only_what_is_on_his_list(
    base: ProgramEnvironment, wheels: Path, scratch: Path
) -> None:
    allowed = frozenset({"plain", "needy"})
    world = World(base, scratch / "environments-allowed", wheels, allowed=allowed)
    await world.make("Plain")
    assert "fast is not among the packages" in await world.fail("plain", "fast")
    wheel(wheels, "nowhere", {"nowhere.py": ""}, version="2.0")
    assert "nowhere, which the requirements bring with them" in await world.fail("needy")
    (wheels / "nowhere-2.0-py3-none-any.whl").unlink()


KILLED = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from qrt_executor.adapters.environment import probe
from tests.integration.executor.rig import PROGRAM_PYTHON
from tests.integration.executor.world import World
async def main():
    world = World(probe(PROGRAM_PYTHON), Path(sys.argv[1]), Path(sys.argv[2]))
    await world.make("plain", "endless")
asyncio.run(main())
"""


async def test_an_executor_killed_in_a_build_leaves_nothing_half_made_that_is_used(
    base: ProgramEnvironment, wheels: Path, scratch: Path
) -> None:
    root = scratch / "environments-killed"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(root), str(wheels))
    await wait_until(lambda: alive(f"{root}/private"), description="the build's process", seconds=30)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await wait_until(lambda: not alive(str(root)), description="no process of the build")
    assert list((root / "private").iterdir())
    world = World(base, root, wheels)
    assert not list((root / "private").iterdir())
    assert not list((root / "shared" / "building").iterdir())
    assert not world.directory.kept()
    assert (await world.make("plain")).path.is_dir()
