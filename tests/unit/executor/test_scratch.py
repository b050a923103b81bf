"""Scratch directories go away whatever a program has left in them."""

from pathlib import Path

from qrt_executor.adapters.scratch import make_scratch


def test_closed_directories_and_links_out_of_it_are_removed_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    scratch = make_scratch(tmp_path, owner=None)
    inner = scratch.work / "closed" / "deeper"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (scratch.work / "link").symlink_to(outside)
    inner.chmod(0)
    inner.parent.chmod(0)
    scratch.work.chmod(0)
    scratch.remove()
    assert not scratch.root.exists()
    assert (outside / "kept").exists()
