"""The largest cut of a graph of five nodes by the quantum approximate optimization algorithm, through `task`.

A cut divides the nodes in two; its size is the number of edges between the halves. The graph is a ring of
five nodes with one chord; its largest cut has five of its six edges. After Farhi, Goldstone and Gutmann
(arXiv:1411.4028): two layers of a phase for each cut edge and a rotation of every qubit. The energy is minus
the mean cut of the measured bitstrings.

The angles are found by a pattern search: all neighbours of the best point are sent together, and the step
is halved when none is better.

`params` may hold `iterations`, the most to do (24 unless given), `shots` (2000) and `backend` ("simulator").
"""

import time

import numpy as np
from quafu import QuantumCircuit

NODES = 5
EDGES = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2))
LAYERS = 2
SMALLEST_STEP = 0.02


def circuit(angles):
    """Return the circuit for the phases `angles[:LAYERS]` and the rotations `angles[LAYERS:]`, in radians."""
    q = QuantumCircuit(NODES)
    for node in range(NODES):
        q.h(node)
    for phase, rotation in zip(angles[:LAYERS], angles[LAYERS:], strict=True):
        for a, b in EDGES:
            q.rzz(a, b, -phase)
        for node in range(NODES):
            q.rx(node, 2 * rotation)
    q.measure(list(range(NODES)), cbits=list(range(NODES)))
    return q


def cut(bits):
    """Return the size of the cut that a bitstring stands for: character k is the half of node k."""
    return sum(bits[a] != bits[b] for a, b in EDGES)


def energies(task, points, seen):
    """Return the energy at each of `points`; note every measured bitstring in `seen`."""
    sent = [task.send(circuit(point), wait=False) for point in points]
    found = []
    for each in sent:
        counts = finished(task, each.taskid).counts
        seen.update(counts)
        found.append(-sum(n * cut(bits) for bits, n in counts.items()) / sum(counts.values()))
    return found


def finished(task, taskid):
    """Wait for a circuit and return its result."""
    while (result := task.retrieve(taskid)).task_status in ("In Queue", "Running"):
        time.sleep(0.001)
    return result


def run(task, userpub, params):
    """Search the angles; publish the lowest energy after each iteration.

    Returns:
        The largest cut that was measured, a division of the nodes that has it, and the lowest energy.
    """
    wishes = params if isinstance(params, dict) else {}
    task.config(backend=wishes.get("backend", "simulator"), shots=wishes.get("shots", 2000))
    seen = set()
    best, step = np.array([0.4, 0.8, 0.6, 0.3]), 0.4
    (energy,) = energies(task, [best], seen)
    for iteration in range(1, wishes.get("iterations", 24) + 1):
        points = [best + step * sign * axis for axis in np.eye(len(best)) for sign in (1, -1)]
        found = energies(task, points, seen)
        if min(found) < energy:
            best, energy = points[int(np.argmin(found))], min(found)
        else:
            step /= 2
        userpub.publish({"iteration": iteration, "energy": energy})
        if step < SMALLEST_STEP:
            break
    bits = max(sorted(seen), key=cut)
    print(f"largest cut {cut(bits)} by {bits}, energy {energy:.3f}")
    return {"cut": cut(bits), "bits": bits, "energy": energy, "parameters": best.tolist()}
