"""What circuits cost that a program sends through `task`, beside simulating them in a process, in one run.

    make bench-circuits

1,000 circuits of 4 qubits, 11 gates and 1,000 shots each, already built, until every count is known:

- directly: `quafu.simulate(circuit, shots=1000).counts`, one after the other, in a process of its own with
  the programs' Python and nothing of ours around it;
- batch: one program on the standalone runtime sends all of them without waiting, then retrieves each;
- group: the same, retrieved together by `task.retrieve_group`;
- loop: one program sends each and waits for its result before the next.

The four take turns, so that what the machine does meanwhile falls on all of them; each figure is the median
of its turns. Time is taken by the program's own clock, without uploading and without starting the job.
"""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from quafu_runtime import Account, AsyncRuntimeService
from tests.system.composition import PROGRAM_PYTHON, TOKEN, standalone

COUNT = 1000
TURNS = 5
BUILD = f"""
import json, time
import numpy as np
import quafu

COUNT, SHOTS, QUBITS = {COUNT}, 1000, 4

def built():
    random, found = np.random.default_rng(1), []
    for _ in range(COUNT):
        q = quafu.QuantumCircuit(QUBITS)
        for i in range(QUBITS):
            q.ry(i, float(random.uniform(0, 6)))
        for i in range(QUBITS - 1):
            q.cnot(i, i + 1)
        for i in range(QUBITS):
            q.rz(i, float(random.uniform(0, 6)))
        q.measure(list(range(QUBITS)), cbits=list(range(QUBITS)))
        found.append(q)
    return found

def directly(circuits):
    return [quafu.simulate(q, shots=SHOTS).counts for q in circuits]

def timed(work):
    circuits = built()
    start = time.perf_counter()
    counts = work(circuits)
    seconds = time.perf_counter() - start
    assert [sum(each.values()) for each in counts] == [SHOTS] * COUNT
    return seconds
"""
DIRECT = BUILD + "\nquafu.simulate(built()[0], shots=1)\nprint(timed(directly))\n"
PROGRAM = (
    BUILD
    + """
def batch(task, circuits):
    sent = [task.send(q, wait=False) for q in circuits]
    return [finished(task, each.taskid).counts for each in sent]

def finished(task, taskid):
    while True:
        result = task.retrieve(taskid)
        if result.task_status == "Completed":
            return result
        time.sleep(0.001)

def group(task, circuits):
    for q in circuits:
        task.send(q, group="all", wait=False)
    while len(found := task.retrieve_group("all", verbose=False)) < len(circuits):
        time.sleep(0.01)
    return [each.counts for each in found]

def loop(task, circuits):
    return [task.send(q).counts for q in circuits]

def run(task, userpub, params):
    task.config(shots=SHOTS)
    work = {"batch": batch, "group": group, "loop": loop}[params]
    return timed(lambda circuits: work(task, circuits))
"""
)
WAYS = ("batch", "group", "loop")


def direct() -> float:
    """Simulate the circuits in a process of their own; return its seconds."""
    shown = subprocess.run(
        [str(PROGRAM_PYTHON), "-c", DIRECT], check=True, capture_output=True, text=True, timeout=300
    )
    return float(shown.stdout)


async def measured(service: AsyncRuntimeService) -> dict[str, list[float]]:
    """Return the seconds of every turn."""
    await service.upload_program(PROGRAM, name="circuits", backend="simulator")
    seconds: dict[str, list[float]] = {"direct": [], **{way: [] for way in WAYS}}
    for _ in range(TURNS):
        seconds["direct"].append(await asyncio.to_thread(direct))
        for way in WAYS:
            job = await service.run(name="circuits", params=way)
            seconds[way].append(await job.value(timeout=300))
    return seconds


def report(seconds: dict[str, list[float]]) -> None:
    """Print the figures and what they are to each other."""
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    ratios = {way: medians[way] / medians["direct"] for way in WAYS}
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {COUNT} circuits\n")
    print(f"{'':<10}{'ms':>10}{'lowest':>10}{'highest':>10}{'x direct':>10}")
    for way, median in medians.items():
        low, high = min(seconds[way]), max(seconds[way])
        ratio = f"{ratios[way]:.2f}" if way in ratios else ""
        print(f"{way:<10}{median * 1000:>10.0f}{low * 1000:>10.0f}{high * 1000:>10.0f}{ratio:>10}")
    overhead = (medians["loop"] - medians["direct"]) / COUNT
    figures = {
        "circuits": COUNT,
        "direct_ms": round(medians["direct"] * 1000, 1),
        **{f"{way}_ms": round(medians[way] * 1000, 1) for way in WAYS},
        **{f"{way}_ratio": round(ratios[way], 3) for way in WAYS},
        "loop_overhead_us_per_circuit": round(overhead * 1e6, 1),
    }
    print(json.dumps(figures))


async def main() -> None:
    """Measure, print a table and one JSON object."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        async with (
            standalone(Path(directory)) as whole,
            AsyncRuntimeService(Account(api_token=TOKEN, url=whole.url)) as service,
        ):
            seconds = await measured(service)
    report(seconds)


if __name__ == "__main__":
    asyncio.run(main())
