"""Draws the plots of a run: `python -m benchmarks.peers.plots figures.json FOLDER`. Runs in `.venv/bench`."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.fonttype"] = "none"  # text stays text: small files that can be searched
mpl.rcParams["svg.hashsalt"] = "performance"  # the same figures give the same files
mpl.rcParams["axes.spines.top"] = mpl.rcParams["axes.spines.right"] = False
mpl.rcParams["axes.grid"] = True
mpl.rcParams["grid.color"] = "#dddddd"
mpl.rcParams["axes.axisbelow"] = True

from matplotlib import pyplot as plt  # noqa: E402 - after the settings

OURS, OTHERS, THIRD = "#0b62a4", "#9aa5b1", "#d07a2d"
Rows = list[dict[str, Any]]


def peers(rows: Rows) -> Any:
    """Draw latency and jobs/s, a bar for each system."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
    names = [each["system"] for each in rows][::-1]
    colours = [OURS if name == "this runtime" else OTHERS for name in names]
    for axis, field, title in (
        (left, "ms_p50", "submit to result, p50 ms (less is better)"),
        (right, "jobs_per_s", "jobs/s (more is better)"),
    ):
        values = [each[field] for each in rows][::-1]
        axis.barh(names, values, color=colours)
        axis.set(xscale="log", title=title)
        labels = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
        axis.bar_label(axis.containers[0], labels=labels, padding=3)
        axis.margins(x=0.15)
    return figure


def queued(rows: Rows) -> Any:
    """Draw another owner's latency and the rate of submissions over the jobs that wait."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    none, rows = rows[0], rows[1:]
    waiting = [each["queued"] for each in rows]
    for axis, field in ((left, "other_ms_p50"), (right, "submissions_per_s")):
        axis.axhline(none[field], linestyle=":", color=THIRD, label="while none waits")
    _line(left, waiting, [each["other_ms_p50"] for each in rows], label="p50", colour=OURS)
    _line(left, waiting, [each["other_ms_p95"] for each in rows], label="p95", colour=OTHERS)
    left.set(xscale="log", xlabel="jobs of one owner that wait", title="another owner's job, ms")
    _line(right, waiting, [each["submissions_per_s"] for each in rows], label="while they wait", colour=OURS)
    right.set(xscale="log", xlabel="jobs of one owner that wait", title="further submissions/s")
    for axis in (left, right):
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False)
    return figure


def listeners(rows: Rows) -> Any:
    """Draw publish to client over the number of listeners."""
    lines = {
        "p50_ms": ("this runtime, p50", OURS),
        "p95_ms": ("this runtime, p95", THIRD),
        "bare_p50_ms": ("bare fan-out, p50", OTHERS),
    }
    return _over(rows, "listeners", lines, xlabel="listeners", title="publish to client, ms")


def executors(rows: Rows) -> Any:
    """Draw jobs/s over the number of executors beside what linear growth would be."""
    programs = list(dict.fromkeys(each["program"] for each in rows))
    figure, axes = plt.subplots(1, len(programs), figsize=(10, 3.2), squeeze=False)
    for axis, program in zip(axes[0], programs, strict=True):
        own = [each for each in rows if each["program"] == program]
        count = [each["executors"] for each in own]
        linear = [own[0]["jobs_per_s"] * each for each in count]
        axis.plot(count, linear, "--", color=OTHERS, label="linear")
        _line(axis, count, [each["jobs_per_s"] for each in own], label="jobs/s", colour=OURS)
        axis.set(title=program, xlabel="executors of one slot", xticks=count)
        axis.set_ylim(bottom=0)
    axes[0][0].legend(frameon=False)
    return figure


def logs(rows: Rows) -> Any:
    """Draw how long a job takes over the lines that it prints."""
    lines = {
        "seconds": ("until the result", OURS),
        "readable_s": ("until all is read back", THIRD),
        "bare_s": ("the program alone", OTHERS),
    }
    return _over(rows, "lines", lines, xlabel="lines printed", title="seconds")


def _over(rows: Rows, x: str, lines: Mapping[str, tuple[str, str]], *, xlabel: str, title: str) -> Any:
    """Draw columns of `rows` over the column `x`, both logarithmic; `lines` has label and colour of each."""
    figure, axis = plt.subplots(figsize=(6, 3.2))
    for column, (label, colour) in lines.items():
        _line(axis, [each[x] for each in rows], [each[column] for each in rows], label=label, colour=colour)
    axis.set(xscale="log", yscale="log", xlabel=xlabel, title=title)
    axis.legend(frameon=False)
    return figure


def _line(axis: Any, x: list[float], y: list[float], *, label: str, colour: str) -> None:
    axis.plot(x, y, "o-", color=colour, label=label)


def main() -> None:
    """Draw what the figures hold."""
    source, folder = map(Path, sys.argv[1:])
    figures = json.loads(source.read_text())
    drawn: dict[str, tuple[Callable[[Rows], Any], Rows]] = {
        "peers": (peers, figures["peers"]),
        "queued": (queued, figures["growth"]["queued"]),
        "listeners": (listeners, figures["growth"]["listeners"]),
        "executors": (executors, figures["growth"]["executors"]),
        "logs": (logs, figures["growth"]["logs"]),
    }
    for name, (draw, rows) in drawn.items():
        if rows:
            figure = draw(rows)
            figure.tight_layout()
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
