"""The tables of a run, and their place on the page docs/performance.md."""

import subprocess
from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from benchmarks.peers.figures import Figures, Growth, Machine, Peer
from benchmarks.peers.systems import BENCH_PYTHON
from tests.system.composition import ROOT

PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
BEGIN, END = "<!-- figures: written by make bench-peers -->", "<!-- end of the figures -->"
US, FLOOR, FRESH = "this runtime", "bare floor", "a fresh interpreter per job"
PLOTS = {
    "peers": "Latency and jobs/s of each system",
    "queued": "Another owner's job while many wait",
    "listeners": "Publish to client at 1 to 1,000 listeners",
    "executors": "Jobs/s with 1, 2 and 4 executors",
    "logs": "One job's lines of log",
}


def write(figures: Figures) -> None:
    """Write figures.json, the plots, and the tables between the page's marks.

    Raises:
        ValueError: the page lacks its marks.
    """
    FOLDER.mkdir(exist_ok=True)
    data = FOLDER / "figures.json"
    data.write_text(figures.model_dump_json(indent=1) + "\n")
    command = [str(BENCH_PYTHON), "-m", "benchmarks.peers.plots", str(data), str(FOLDER)]
    subprocess.run(command, check=True, cwd=ROOT)
    PAGE.write_text(with_figures(PAGE.read_text(), figures))


def with_figures(text: str, figures: Figures) -> str:
    """Return the page's text with these figures between its marks.

    Raises:
        ValueError: the text lacks the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} must hold {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{tables(figures, plots=True)}\n{END}{after}"


def tables(figures: Figures, *, plots: bool = False) -> str:
    """Return everything as Markdown."""
    parts = [_machine(figures), "### Beside peers", _peers(figures.peers), _ratios(figures.peers)]
    parts += [f"Not measured: {each.system} ({each.why})." for each in figures.missing]
    if plots:
        parts.append(_plot("peers"))
    parts += _growth(figures.growth, plots=plots)
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(figures: Figures) -> str:
    machine: Machine = figures.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine.versions.items()))
    size = ", as a quick run of smaller sizes" if figures.quick else ""
    return (
        f"Measured {machine.at:%Y-%m-%d %H:%M} UTC at commit {machine.commit or 'unknown'}"
        f" in {figures.seconds / 60:.0f} minutes{size}:"
        f" {machine.cores} cores ({machine.processor}), {machine.memory_gb:g} GB, Linux {machine.kernel},"
        f" Python {machine.python}. Load before: {machine.load_before:g}. {versions}."
    )


def _peers(peers: Sequence[Peer]) -> str:
    head = (
        *("system", "between jobs", "p50 ms", "p95 ms", "jobs/s", "CPU ms/job", "broker", "store", "client"),
        *("PSS MB", "busy", "jobs", "lost"),
    )
    rows = [
        (
            *(each.system, each.isolation, each.ms_p50, each.ms_p95, each.jobs_per_s, each.cpu_ms_per_job),
            *(each.broker_cpu_ms_per_job, each.store_cpu_ms_per_job, each.client_cpu_ms_per_job),
            *(each.pss_mb, each.busy_pss_mb, each.jobs, each.lost),
        )
        for each in peers
    ]
    return _table(head, rows)


def _ratios(peers: Sequence[Peer]) -> str:
    """Return how each system stands to ours, measured beside it in this run."""
    ours = next((each for each in peers if each.system == US), None)
    others = [each for each in peers if each is not ours]
    if ours is None or not others:
        return ""
    rows = [
        (
            each.system,
            f"{each.ms_p50 / ours.ms_p50:.2f}",
            f"{ours.jobs_per_s / each.jobs_per_s:.2f}",
            f"{each.cpu_ms_per_job / ours.cpu_ms_per_job:.2f}",
            f"{each.pss_mb / ours.pss_mb:.2f}",
        )
        for each in others
    ]
    head = (
        "beside this runtime",
        "its latency / ours",
        "our jobs/s / its",
        "its CPU / ours",
        "its PSS / ours",
    )
    return "Above 1, this runtime does better; below 1, the other one does.\n\n" + _table(head, rows)


def _growth(growth: Growth, *, plots: bool) -> Iterable[str]:
    parts: list[tuple[str, str, str]] = []
    if growth.queued:
        parts.append(("queued", "Jobs that wait", _rows(growth.queued)))
    if growth.listeners:
        parts.append(("listeners", "Listeners", _rows(growth.listeners)))
    if growth.executors:
        parts.append(("executors", "Executors", _rows(growth.executors)))
    if growth.logs:
        parts.append(("logs", "Lines of log", _rows(growth.logs)))
    for name, title, table in parts:
        yield f"### {title}"
        yield table
        if plots:
            yield _plot(name)


def _rows(models: Sequence[BaseModel]) -> str:
    """Return a table whose columns are the fields."""
    data = [each.model_dump() for each in models]
    head = [name.replace("_", " ") for name in data[0]]
    return _table(head, [["" if value is None else value for value in row.values()] for row in data])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += [
        "| " + " | ".join(f"{value:,}" if _big(value) else f"{value}" for value in row) + " |" for row in rows
    ]
    return "\n".join(lines)


def _big(value: object) -> bool:
    return isinstance(value, int | float) and value >= 10_000


def _plot(name: str) -> str:
    return f"![{PLOTS[name]}](performance/{name}.svg)"
