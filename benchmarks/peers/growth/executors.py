"""Jobs/s with 1, 2 and 4 executors of one slot each; two gateways, two registries, two schedulers.

Programs that wait show what the services allow, programs that compute what the machine's cores allow, and the
hello circuit, which is short, what starting jobs costs.
"""

import time

from benchmarks.jobs import PROGRAMS
from benchmarks.peers import usage
from benchmarks.peers.figures import Executors
from benchmarks.peers.growth import crowd
from benchmarks.peers.systems import Machinery
from tests.system.composition import OTHER_TOKEN, SERVICES, TOKEN
from tests.system.scaled import scaled

EXECUTORS = (1, 2, 4)
WAITS = "import time\n\n\ndef run(task, userpub, params):\n    time.sleep(0.4)\n"
COMPUTES = """
import time


def run(task, userpub, params):
    while time.process_time() < 0.2:
        pass
"""
SOURCES = {"waits 0.4 s": WAITS, "computes 0.2 s": COMPUTES, "hello circuit": PROGRAMS["hello"]}
JOBS = {"waits 0.4 s": 16, "computes 0.2 s": 16, "hello circuit": 100}
"""For each executor."""
QUICK_SHARE = 4


async def measure(on: Machinery, *, quick: bool) -> list[Executors]:
    """Return jobs/s of each program with each number of executors."""
    found: list[Executors] = []
    for count in EXECUTORS:
        for program, (rate, cores) in (await _rates(on, count, quick=quick)).items():
            alone = next((each.jobs_per_s for each in found if each.program == program), rate)
            found.append(
                Executors(
                    executors=count,
                    program=program,
                    jobs_per_s=round(rate, 2),
                    of_linear=round(rate / (alone * count), 3),
                    busy_cores=round(cores, 2),
                )
            )
    return found


async def _rates(on: Machinery, count: int, *, quick: bool) -> dict[str, tuple[float, float]]:
    """Return jobs/s and busy cores of each program."""
    settings = {name: {"mongo_prefix": f"executors-{count}-"} for name in SERVICES}
    settings["executor"]["slots"] = "1"
    replicas = {"gateway": 2, "registry": 2, "scheduler": 2, "executor": count}
    found = {}
    async with (
        scaled(on.directory, on.rabbit.url, on.mongo.url, replicas=replicas, settings=settings) as whole,
        crowd.clients(whole.urls, (TOKEN, OTHER_TOKEN)) as clients,
    ):
        for name, source in SOURCES.items():
            program = await crowd.upload(clients[0], name, source, visibility="public")
            each = [(client, program) for client in clients]
            await crowd.rate(each, jobs=4 * count)  # warm
            start, cpu = time.perf_counter(), usage.machine_cpu_ms()
            rate = await crowd.rate(each, jobs=JOBS[name] * count // (QUICK_SHARE if quick else 1))
            cores = (usage.machine_cpu_ms() - cpu) / 1000 / (time.perf_counter() - start)
            found[name] = rate, cores
    return found
