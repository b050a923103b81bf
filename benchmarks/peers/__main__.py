"""`make bench-peers`: measure everything, print tables, and one JSON object as the last line.

make bench-peers ARGS=--quick           a few minutes; smaller, and less exact
make bench-peers ARGS=--write           also docs/performance.md and docs/performance/
make bench-peers ARGS='--only taskiq'   some systems alone, without the growth
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers import page
from benchmarks.peers.compare import compare
from benchmarks.peers.figures import Figures, Growth
from benchmarks.peers.growth import grow
from benchmarks.peers.machine import describe
from benchmarks.peers.systems import Machinery
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode


async def measure(on: Machinery, given: argparse.Namespace) -> Figures:
    """Return everything that was asked for."""
    start = time.perf_counter()
    machine = await describe(on.rabbit.url)
    peers, missing = await compare(on, quick=given.quick, names=given.only)
    growth = Growth() if given.only else await grow(on, quick=given.quick)
    return Figures(
        machine=machine,
        quick=given.quick,
        seconds=round(time.perf_counter() - start, 1),
        peers=peers,
        missing=missing,
        growth=growth,
    )


def run(given: argparse.Namespace) -> Figures:
    """Start broker and store, measure on them, end them."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # the programs' user passes through it
        rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
        try:
            rabbit.start()
            mongo.start()
            return asyncio.run(measure(Machinery(rabbit, mongo, directory), given))
        finally:
            rabbit.remove()
            mongo.remove()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, smaller sizes")
    parser.add_argument("--write", action="store_true", help="write the page, the plots and figures.json")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="systems whose name holds this")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("the page shows everything: --write and --only exclude each other")
    found = run(given)
    print("\n" + page.tables(found))
    if given.write:
        page.write(found)
        print(f"written: {page.PAGE.name} and {page.FOLDER.name}/", file=sys.stderr)
    print(found.model_dump_json())


if __name__ == "__main__":
    main()
