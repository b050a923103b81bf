"""What is taken from an output directory, and what is passed over with its reason."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrt_executor.adapters import collector
from qrt_executor.ports import FileBudget, Leftovers

BUDGET = FileBudget(bytes=10_000, file_bytes=5_000, files=5, entries=50, depth=3)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def names(left: Leftovers) -> list[str]:
    return [each.name for each in left.files]


def reason(left: Leftovers) -> str:
    assert names(left) == []
    (skipped,) = left.skipped
    return skipped.reason


def test_files_are_found_in_order_with_their_content(tmp_path: Path, directory: int) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "b.txt").write_bytes(b"beta")
    (tmp_path / "a ü.txt").write_bytes(b"")
    (tmp_path / "deep" / "er" / "c").write_bytes(b"gamma")
    left = collector.leftovers(directory, budget=BUDGET)
    assert names(left) == ["a ü.txt", "b.txt", "deep/er/c"]
    assert left.skipped == ()
    assert [b"".join(collector.content(directory, each)) for each in left.files] == [b"", b"beta", b"gamma"]


def test_an_empty_directory_is_seen_as_such(tmp_path: Path, directory: int) -> None:
    assert collector.is_empty(directory)
    (tmp_path / "a").touch()
    assert not collector.is_empty(directory)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "/proc/self/environ", ".", "gone"])
def test_a_symbolic_link_is_never_followed(tmp_path: Path, directory: int, target: str) -> None:
    (tmp_path / "link").symlink_to(target)
    assert "symbolic link" in reason(collector.leftovers(directory, budget=BUDGET))


def test_a_link_laid_later_is_not_followed_either(tmp_path: Path, directory: int) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"mine")
    (file,) = collector.leftovers(directory, budget=BUDGET).files
    (tmp_path / "below" / "file").unlink()
    (tmp_path / "below").rmdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"else")
    (tmp_path / "below").symlink_to("other")
    with pytest.raises(OSError, match="symbolic"):
        list(collector.content(directory, file))


def test_a_fifo_and_a_socket_do_not_stall(tmp_path: Path, directory: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "neither a file" in reason(collector.leftovers(directory, budget=BUDGET))
    (tmp_path / "fifo").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert "neither a file" in reason(collector.leftovers(directory, budget=BUDGET))


def test_a_hard_link_is_passed_over(tmp_path: Path, directory: int) -> None:
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    left = collector.leftovers(directory, budget=BUDGET)
    assert [each.name for each in left.skipped] == ["a", "b"]
    assert all("hard link" in each.reason for each in left.skipped)


@pytest.mark.parametrize(
    "name", [b"a\nb", b"a\\b", b"c:x", b"\xff\xfe", b"\x1b[31m", "\u202egnp.exe".encode()]
)
def test_an_odd_name_is_passed_over_and_shown_harmlessly(tmp_path: Path, directory: int, name: bytes) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).touch()
    left = collector.leftovers(directory, budget=BUDGET)
    assert "its name" in reason(left)
    assert left.skipped[0].name.isprintable()
    left.skipped[0].model_dump_json()


def test_a_path_that_is_too_long_is_passed_over(tmp_path: Path, directory: int) -> None:
    deep = tmp_path / ("a" * 250) / ("b" * 250)
    deep.mkdir(parents=True)
    (deep / ("c" * 250)).touch()
    assert "longer than" in reason(collector.leftovers(directory, budget=BUDGET))


def test_a_deep_tree_is_cut(tmp_path: Path, directory: int) -> None:
    for _ in range(30):
        tmp_path = tmp_path / "d"
        tmp_path.mkdir()
    (tmp_path / "file").touch()
    assert "nested deeper" in reason(collector.leftovers(directory, budget=BUDGET))


def test_closed_files_and_directories_are_opened_up(tmp_path: Path, directory: int) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "file").write_bytes(b"x")
    (tmp_path / "closed" / "file").chmod(0)
    (tmp_path / "closed").chmod(0)
    tmp_path.chmod(0)
    assert names(collector.leftovers(directory, budget=BUDGET)) == ["closed/file"]


def test_a_sparse_file_counts_in_full(tmp_path: Path, directory: int) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(90 << 20)
    assert "over the limit of 5000" in reason(collector.leftovers(directory, budget=BUDGET))


def test_files_beyond_the_budgets_are_told(tmp_path: Path, directory: int) -> None:
    for number in range(8):
        (tmp_path / f"f{number}").write_bytes(b"x")
    left = collector.leftovers(directory, budget=BUDGET)
    assert (len(left.files), len(left.skipped)) == (5, 3)
    assert all("more than 5 files" in each.reason for each in left.skipped)
    for number in range(8):
        (tmp_path / f"f{number}").write_bytes(b"x" * 4000)
    left = collector.leftovers(directory, budget=BUDGET)
    assert (len(left.files), len(left.skipped)) == (2, 6)


def test_reasons_are_bounded_and_entries_are_too(tmp_path: Path, directory: int) -> None:
    for number in range(300):
        (tmp_path / f"f{number}").symlink_to("x")
    wide = FileBudget(bytes=1, file_bytes=1, files=1, entries=10_000)
    left = collector.leftovers(directory, budget=wide)
    assert len(left.skipped) == 101
    assert left.skipped[-1].reason == "200 more were left out"
    left = collector.leftovers(directory, budget=BUDGET)
    assert len(left.skipped) == 51
    assert "more than 50 entries" in left.skipped[0].reason
