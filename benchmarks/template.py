"""Later jobs of a project with packages of its own, beside warm jobs of a Quafu program, in one run.

    make bench-template

Four services as processes over a private RabbitMQ. Both programs do the same work, and the project imports a
pure and a compiled package; both packages and what the template needs come from a folder, so that no index is
asked. Measured one job after the other over the long poll, the two programs in turns, after the first job of
each: submission to known result. The second job of the project stands by itself: it is the first one that
finds its environment warm.
"""

import asyncio
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from aiohttp import ClientSession, FormData

from benchmarks.jobs import client_of, finish, percentile, timed
from tests.support.mongo import MongoServer
from tests.support.projects import project
from tests.support.rabbit import RabbitNode
from tests.support.wheels import PYDANTIC, compiled, installed, wheel
from tests.system.composition import TOKEN, four_services

RUNS = 100
TARGET = 2.0
QUAFU = "def run(task, userpub, params):\n    return {'sum': 48}\n"
TEMPLATE = """
import fast
import plain

def run(number: int = 5) -> dict:
    return {"sum": plain.VALUE + fast.answer() + number}
"""


def write_packages(folder: Path) -> Path:
    """Write the packages that the project and the template need; return their folder."""
    folder.mkdir(mode=0o755)
    installed(folder, *PYDANTIC)
    wheel(folder, "plain", {"plain.py": "VALUE = 1\n"})
    compiled(folder, "fast")
    return folder


async def upload_both(client: ClientSession) -> float:
    """Upload both programs and wait for the project's build; return how long that took, in seconds."""
    async with client.post("/v1/programs", json={"name": "quafu", "source": QUAFU}):
        pass
    start = time.perf_counter()
    form = FormData({"name": "template"})
    archive = project(TEMPLATE, {"requirements.txt": "plain\nfast\n"})
    form.add_field("archive", archive, filename="project.zip", content_type="application/zip")
    async with client.post("/v1/programs", data=form) as reply:
        program = await reply.json()
    path = f"/v1/programs/{program['id']}/versions/1"
    async with client.get(path, params={"wait": 55}) as reply:
        version = await reply.json()
    if version["build"]["state"] != "ready":
        raise SystemExit(f"the project was not built: {version['build']}")
    return time.perf_counter() - start


async def measure(url: str) -> dict[str, object]:
    """Return the figures of one running composition."""
    times: dict[str, list[float]] = {"quafu": [], "template": []}
    async with client_of(url, token=TOKEN) as client:
        build = await upload_both(client)
        one = {name: partial(finish, client, name) for name in times}
        first = {name: await timed(each) for name, each in one.items()}
        second = {name: await timed(each) for name, each in one.items()}
        for _ in range(RUNS):
            for name, each in one.items():
                times[name].append(await timed(each))
    warm = {
        name: {"p50": percentile(each, 0.5), "p95": percentile(each, 0.95)} for name, each in times.items()
    }
    quafu = warm["quafu"]["p50"]
    return {
        "build_s": round(build, 2),
        "first_job_ms": {name: round(each * 1000, 2) for name, each in first.items()},
        "second_job_ms": {name: round(each * 1000, 2) for name, each in second.items()},
        "warm_ms": warm,
        "ratio_warm_p50": round(warm["template"]["p50"] / quafu, 2),
        "ratio_second_job": round(second["template"] * 1000 / quafu, 2),
        "target": TARGET,
    }


async def main() -> None:
    """Start everything, measure, print."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        path = Path(directory)
        (path / "rabbit").mkdir()
        rabbit, mongo = RabbitNode(path / "rabbit"), MongoServer(path / "mongo")
        wheels = write_packages(path / "wheels")
        try:
            rabbit.start()
            mongo.start()
            async with four_services(path, rabbit.url, mongo.url, wheels=wheels) as whole:
                figures = await measure(whole.url)
        finally:
            rabbit.remove()
            mongo.remove()
    warm = figures["warm_ms"]
    assert isinstance(warm, dict)
    print(f"{'program':<10}{'warm p50 ms':>14}{'p95 ms':>10}")
    for name, each in warm.items():
        print(f"{name:<10}{each['p50']:>14}{each['p95']:>10}")
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    asyncio.run(main())
