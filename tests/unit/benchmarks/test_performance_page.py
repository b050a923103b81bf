"""The page about performance shows what was measured, and nothing else."""

import pytest
from benchmarks.peers.figures import Figures
from benchmarks.peers.page import FOLDER, PAGE, PLOTS, with_figures


def figures() -> Figures:
    return Figures.model_validate_json((FOLDER / "figures.json").read_text())


def test_the_page_holds_the_figures_of_the_stored_run() -> None:
    text = PAGE.read_text()
    assert with_figures(text, figures()) == text


def test_the_page_shows_every_plot() -> None:
    for name in PLOTS:
        assert f"(performance/{name}.svg)" in PAGE.read_text()
        assert (FOLDER / f"{name}.svg").stat().st_size < 100_000


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        with_figures("# Performance\n", figures())
