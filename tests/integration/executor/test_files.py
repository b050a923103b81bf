"""Output files: kept as artifacts, whatever the end of the attempt, and never more than its own."""

import pytest

from qrt_contracts.values import Limits
from tests.integration.executor.rig import Rig, Told, body

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = ("import os", "out = os.environ['OUTPUT_DIRECTORY']")
MB = 1 << 20


async def contents(executor: Rig, told: Told) -> dict[str, bytes]:
    return {
        file.name: await executor.artifacts.read_all(file.sha256, limit=file.size) for file in told.end.files
    }


async def test_what_a_program_leaves_is_kept_with_its_names(executor: Rig) -> None:
    told = await executor.run(
        body(
            *HERE,
            "os.makedirs(out + '/plots/1')",
            "open(out + '/a.txt', 'w').write('alpha')",
            "open(out + '/plots/1/é.bin', 'wb').write(bytes(3_000_000))",
        )
    )
    assert told.end.end == "succeeded"
    assert await contents(executor, told) == {"a.txt": b"alpha", "plots/1/é.bin": bytes(3_000_000)}
    assert told.end.skipped_files == ()


async def test_the_files_of_a_failed_and_of_a_cut_attempt_are_kept(executor: Rig) -> None:
    failed = await executor.run(body(*HERE, "open(out + '/half', 'w').write('1')", "raise ValueError"))
    assert (failed.code, [file.name for file in failed.end.files]) == ("ProgramError", ["half"])
    cut = await executor.run(
        body(*HERE, "open(out + '/half', 'w').write('1')", "while True: pass"), limits=Limits(wall_seconds=1)
    )
    assert (cut.code, cut.end.partial) == ("TimeLimitExceeded", True)
    assert [file.name for file in cut.end.files] == ["half"]


async def test_a_hundred_and_more_files_are_kept(executor: Rig) -> None:
    told = await executor.run(
        body(*HERE, "for n in range(120): open(f'{out}/{n:03}', 'w').write(str(n % 7))"), seconds=60
    )
    assert [file.name for file in told.end.files] == [f"{n:03}" for n in range(120)]


async def test_a_job_without_files_has_none(executor: Rig) -> None:
    told = await executor.run(body("open('elsewhere', 'w').write('x')", "return 1"))
    assert (told.end.files, told.end.skipped_files) == ((), ())


async def test_what_is_not_kept_is_told_with_its_reason(executor: Rig) -> None:
    told = await executor.run(
        body(
            *HERE,
            "import socket",
            "os.symlink('/etc/passwd', out + '/link')",
            "os.symlink('/proc/1/environ', out + '/other')",
            "os.symlink('../../..', out + '/up')",
            "os.mkfifo(out + '/pipe')",
            "open(out + '/odd\\nname', 'w').close()",
            "open(os.fsencode(out) + b'/\\xff', 'w').close()",
            "open(out + '/one', 'w').close()",
            "os.link(out + '/one', out + '/two')",
            "deep = out",
            "for _ in range(40):",
            "    deep += '/d'",
            "    os.mkdir(deep)",
            "open(out + '/sparse', 'wb').truncate(90 << 20)",
            "open(out + '/kept', 'w').write('k')",
            "os.chmod(out + '/kept', 0)",
            "os.chmod(out, 0)",
        ),
        limits=Limits(file_bytes=100 * MB, disk_bytes=16 * MB),
    )
    assert told.end.end == "succeeded", told.end
    assert await contents(executor, told) == {"kept": b"k"}
    skipped = {each.name: each.reason for each in told.end.skipped_files}
    assert set(skipped) > {"link", "other", "up", "pipe", "odd\\nname", "\\xff", "one", "two", "sparse"}
    assert "not kept" in told.stream("system")
