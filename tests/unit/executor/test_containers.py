"""How containers are made, built and read, as far as that needs no engine."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from qrt_contracts.values import Limits, ProgramKind, Resources
from qrt_executor.adapters.containers import context
from qrt_executor.adapters.containers.archive import Spool
from qrt_executor.adapters.containers.blueprint import Standing, blueprint, too_many_volumes, unenforced
from qrt_executor.adapters.containers.context import build_context
from qrt_executor.adapters.containers.engine import EngineFailed
from qrt_executor.adapters.containers.holder import Holder, holder_program, tar_of
from qrt_executor.adapters.containers.images import Image
from qrt_executor.adapters.containers.journal import Journal
from qrt_executor.ports import BuildFailed, FileBudget, Leftovers, Order

IMAGE = Image(id="sha256:1", volumes=("/data", "/var/runtime/output", "/tmp/"))
STANDING = Standing(user="61000:61000", cpus=1.0, most_cpus=2.0)
BUDGET = FileBudget(bytes=10_000, file_bytes=5_000, files=3, entries=20, depth=3)


def order(**changes: object) -> Order:
    known: dict[str, object] = {
        "source": b"",
        "input": "{}",
        "backend": None,
        "limits": Limits(),
        "kind": ProgramKind.CONTAINER,
    }
    return Order(**(known | changes))  # type: ignore[arg-type]


def drawn(made: Order, *, image: Image = IMAGE, standing: Standing = STANDING) -> dict[str, object]:
    holder = Holder(None, image="h", name="qrt-1", labels={})  # type: ignore[arg-type]
    body = blueprint(made, image=image, holder=holder, standing=standing, labels={"qrt.attempt": "j-1"})
    return {**body, **body["HostConfig"]}


def test_a_container_is_hardened_whatever_its_image_says() -> None:
    body = drawn(order())
    assert body["User"] == "61000:61000"
    assert body["NetworkMode"] == "none"
    assert body["NetworkDisabled"] is True
    assert body["ReadonlyRootfs"] is True
    assert body["CapDrop"] == ["ALL"]
    assert body["SecurityOpt"] == ["no-new-privileges"]
    assert body["Memory"] == body["MemorySwap"] == Limits().memory_bytes
    assert body["PidsLimit"] == Limits().processes
    assert body["LogConfig"] == {"Type": "none"}
    assert body["Labels"] == {"qrt.attempt": "j-1"}
    assert not {"Binds", "Devices", "DeviceRequests", "Init"} & set(body)


def test_what_an_image_declares_as_volumes_is_private_and_small() -> None:
    mounts = drawn(order())["Mounts"]
    assert isinstance(mounts, list)
    found = {each["Target"]: each for each in mounts}
    assert set(found) == {"/var/runtime/input", "/var/input", "/var/runtime/output", "/data"}
    assert found["/data"]["Type"] == "tmpfs"
    assert found["/var/runtime/input"]["ReadOnly"]
    assert found["/var/input"]["ReadOnly"]
    assert not found["/var/runtime/output"]["ReadOnly"]
    assert too_many_volumes(IMAGE) is None
    assert "16" in (too_many_volumes(Image(id="x", volumes=tuple(map(str, range(17))))) or "")


def test_declared_resources_are_given_within_what_the_machine_has() -> None:
    assert drawn(order())["NanoCpus"] == 1_000_000_000
    assert drawn(order(resources=Resources(cpus=1.5)))["NanoCpus"] == 1_500_000_000
    body = drawn(order(resources=Resources(cpus=64, gpus=2)))
    assert body["NanoCpus"] == 2_000_000_000
    assert body["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]


def test_what_an_engine_cannot_limit_is_known() -> None:
    told = {"MemoryLimit": True, "SwapLimit": False, "CpuCfsQuota": True, "PidsLimit": False}
    assert unenforced(told) == ("swapped memory", "processes")
    assert unenforced({}) == (), "an engine that says nothing of it"


def test_an_operator_may_leave_the_user_to_images_and_the_network_to_a_program() -> None:
    body = drawn(order(network=True), standing=Standing(user=None, cpus=1, most_cpus=1))
    assert "User" not in body
    assert body["NetworkMode"] == "qrt-1", "a network of its own"


def test_the_directories_cannot_be_moved_by_a_secret() -> None:
    body = drawn(order(environ={"INPUT_DIRECTORY": "/etc", "HOME": "/x", "SECRET_A": "b"}))
    assert body["Env"] == [
        "HOME=/x",
        "INPUT_DIRECTORY=/var/runtime/input",
        "SECRET_A=b",
        "OUTPUT_DIRECTORY=/var/runtime/output",
    ]


# --- build contexts -------------------------------------------------------------------------------


def zipped(files: Mapping[str, bytes], *, mode: int = 0o644, when: int = 2000) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (when, 1, 1, 0, 0, 0))
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def test_equal_content_gives_an_equal_context(tmp_path: Path) -> None:
    files = {"Dockerfile": b"FROM x", "src/a.py": b"pass", "empty/": b""}
    made = [build_context(zipped(files, when=year), directory=tmp_path) for year in (1999, 2020)]
    first, second = (each.read() for each in made)
    for each in made:
        each.close()
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as context:
        assert context.getnames() == ["Dockerfile", "src/a.py"]
    assert not list(tmp_path.iterdir()), "it has no name"


@pytest.mark.parametrize(
    ("bundle", "words"),
    [
        (b"no zip", "cannot be read"),
        (zipped({"src/Dockerfile": b""}), "no Dockerfile at its root"),
        (zipped({"Dockerfile": b"", "../up": b""}), "leads out of it"),
        (zipped({"Dockerfile": b"", "/etc/passwd": b""}), "leads out of it"),
        (zipped({"Dockerfile": b"/etc"}, mode=stat.S_IFLNK | 0o777), "leads out of it"),
        (zipped({"Dockerfile": b"x" * 1000})[:-200], "cannot be read"),
    ],
)
def test_a_bad_archive_is_no_context(bundle: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=words):
        build_context(bundle, directory=tmp_path)


def test_a_bomb_is_no_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(BuildFailed, match="unpacks to more than 1048576 bytes"):
        context.build_context(zipped({"Dockerfile": b"", "bomb": bytes(2 << 20)}), directory=tmp_path)


# --- what builds say ------------------------------------------------------------------------------


def test_a_builds_lines_are_told_whole_and_the_running_step_is_known() -> None:
    told: list[str] = []
    journal = Journal([told.append])
    for stream in ("Step 1/2 : FR", "OM x\n ---> 0123456789ab\n", " ---> Running in ba9876543210\n", "out\n"):
        journal.take({"stream": stream})
    assert told == ["Step 1/2 : FROM x", " ---> 0123456789ab", " ---> Running in ba9876543210", "out"]
    assert (journal.step, journal.layer) == ("ba9876543210", "0123456789ab")
    journal.take({"error": "exit 9"})
    assert journal.error == "exit 9"
    assert journal.end().endswith("\nout")


def test_a_builds_log_is_bounded() -> None:
    told: list[str] = []
    journal = Journal([told.append])
    journal.take({"stream": "x" * 100_000 + "\n"})
    journal.take({"stream": "y\n" * 10_000})
    assert len(told) == 5000
    assert max(map(len, told)) <= 2000
    assert "left out" in told[-1]
    assert len(journal.end().splitlines()) == 41


# --- what is left ---------------------------------------------------------------------------------


def looked(archive: bytes, tmp_path: Path, *, whole: bool = True) -> Leftovers:
    spool = Spool(tmp_path)
    try:
        spool._file.write(archive)
        return spool.look(BUDGET, whole=whole)
    finally:
        spool.close()


async def result_in(archive: bytes, tmp_path: Path, *, whole: bool = True) -> bytes | None:
    spool = Spool(tmp_path)
    try:
        spool._file.write(archive)
        spool.look(BUDGET, whole=whole)
        return await spool.result(limit=100)
    finally:
        spool.close()


def entry(name: str, **what: object) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    data = what.pop("data", b"")
    assert isinstance(data, bytes)
    found.size = len(data)
    for key, value in what.items():
        setattr(found, key, value)
    return found, data


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each, data in entries:
            archive.addfile(each, io.BytesIO(data))
    return made.getvalue()


def test_only_plain_files_within_the_budget_are_kept(tmp_path: Path) -> None:
    found = looked(
        packed(
            entry("out/", type=tarfile.DIRTYPE),
            entry("out/a.txt", data=b"a" * 100),
            entry("out/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            entry("out/hard", type=tarfile.LNKTYPE, linkname="out/a.txt"),
            entry("out/pipe", type=tarfile.FIFOTYPE),
            entry("out/disk", type=tarfile.BLKTYPE),
            entry("out/large", data=b"l" * 5001),
            entry("out/a/b/c/d", data=b"deep"),
            entry("out/a/b/c", data=b"c" * 4000),
            entry("out/evil\nname", data=b""),
            entry("out/more", data=b"m" * 5000),
            entry("out/too-much", data=b"m" * 1000),
        ),
        tmp_path,
    )
    assert [(file.name, file.size) for file in found.files] == [
        ("a.txt", 100),
        ("a/b/c", 4000),
        ("more", 5000),
    ]
    reasons = {each.name: each.reason for each in found.skipped}
    assert "symbolic link" in reasons["link"]
    assert "more than one name" in reasons["hard"]
    assert "neither" in reasons["pipe"]
    assert "neither" in reasons["disk"]
    assert "limit of 5000" in reasons["large"]
    assert "deeper" in reasons["a/b/c/d"]
    assert "control character" in reasons["evil\\nname"]
    assert "more than 3 files" in reasons["too-much"]


def test_names_that_nobody_looks_at_are_counted(tmp_path: Path) -> None:
    found = looked(packed(*(entry(f"out/{n}", type=tarfile.FIFOTYPE) for n in range(30))), tmp_path)
    assert len(found.skipped) == 21
    assert "more than 20 entries" in found.skipped[-1].reason


def test_an_archive_that_is_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    whole = packed(entry("out/a", data=b"a" * 1000), entry("out/b", data=b"b" * 4000))
    found = looked(whole[:4000], tmp_path, whole=False)
    assert [file.name for file in found.files] == ["a"]
    assert "too long" in found.skipped[-1].reason
    assert "cannot be read" in looked(b"x" * 2000, tmp_path).skipped[-1].reason


# --- the holder -----------------------------------------------------------------------------------


def test_the_holder_is_a_program_for_the_engines_machine() -> None:
    for architecture in ("amd64", "arm64"):
        assert holder_program(architecture)[:4] == b"\x7fELF"
    with pytest.raises(EngineFailed, match="riscv64"):
        holder_program("riscv64")
    with tarfile.open(fileobj=tar_of({"data.json": b"1"}, mode=0o444)) as archive:
        assert archive.getmember("data.json").mode == 0o444


async def test_the_result_is_the_plain_file_of_that_name(tmp_path: Path) -> None:
    crowd = [entry(f"out/{number}", data=b"x") for number in range(BUDGET.entries + 1)]
    there = entry("out/output.json", data=b"{}")
    assert await result_in(packed(entry("out/a/output.json", data=b"1"), there), tmp_path) == b"{}"
    assert await result_in(packed(*crowd, there), tmp_path) == b"{}", "behind more than is kept"
    link = entry("out/output.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    assert await result_in(packed(link), tmp_path) is None
    assert await result_in(packed(), tmp_path) is None
    with pytest.raises(ValueError, match="101 bytes where 100 are allowed"):
        await result_in(packed(entry("out/output.json", data=b"1" * 101)), tmp_path)
    with pytest.raises(ValueError, match="may lie behind"):
        await result_in(packed(*crowd), tmp_path, whole=False)
