"""The ground state energy of the hydrogen molecule, measured: a variational eigensolver through `task`.

The Hamiltonian is that of H2 at a bond length of 0.735 angstrom in the STO-3G basis, reduced to two
qubits by the parity mapping. Its lowest eigenvalue is -1.857275 hartree (without the nuclear
repulsion of 0.719969). Every energy is estimated from the counts of two circuits, one for the terms
in Z and one for XX, so it carries shot noise of about 0.2 / sqrt(shots) hartree; the job's seed fixes it.

The energy as a function of one angle is a sine, so three energies give its minimum (Ostaszewski, Grant
and Benedetti, Quantum 5, 391, 2021); the six circuits for them are sent together.

`params` may hold `rounds` over all angles (6 unless given), `shots` (20000) and `backend` ("simulator").
"""

import math
import time

import numpy as np
from quafu import QuantumCircuit

CONSTANT = -1.052373245772859
Z_TERMS = {(1,): 0.39793742484318045, (0,): -0.39793742484318045, (0, 1): -0.01128010425623538}
X_TERMS = {(0, 1): 0.18093119978423156}


def circuit(angles, basis):
    """Return the circuit that prepares a real state of two qubits and measures both in the Z or X basis."""
    q = QuantumCircuit(2)
    q.ry(0, angles[0])
    q.ry(1, angles[1])
    q.cnot(0, 1)
    q.ry(0, angles[2])
    q.ry(1, angles[3])
    if basis == "X":
        q.h(0)
        q.h(1)
    q.measure([0, 1], cbits=[0, 1])
    return q


def expectation(counts, qubits):
    """Return the mean of the product of (-1)**bit over `qubits`; character k of a key is qubit k."""
    signed = sum(n * (-1) ** sum(bits[k] == "1" for k in qubits) for bits, n in counts.items())
    return signed / sum(counts.values())


def energies(task, points):
    """Return the energy in hartree at each of `points`; all circuits are sent before one is waited for."""
    sent = [task.send(circuit(point, basis), wait=False) for point in points for basis in "ZX"]
    counts = [finished(task, each.taskid).counts for each in sent]
    found = []
    for in_z, in_x in zip(counts[::2], counts[1::2], strict=True):
        energy = CONSTANT + sum(w * expectation(in_z, qubits) for qubits, w in Z_TERMS.items())
        found.append(energy + sum(w * expectation(in_x, qubits) for qubits, w in X_TERMS.items()))
    return found


def finished(task, taskid):
    """Wait for a circuit and return its result."""
    while (result := task.retrieve(taskid)).task_status in ("In Queue", "Running"):
        time.sleep(0.001)
    return result


def run(task, userpub, params):
    """Lower the energy angle by angle; publish it after each round over all angles.

    Returns:
        The last energy in hartree, the angles, and the energy of every round.
    """
    wishes = params if isinstance(params, dict) else {}
    task.config(backend=wishes.get("backend", "simulator"), shots=wishes.get("shots", 20000))
    angles = np.array([0.1, 0.2, 0.3, 0.4])
    history = []
    for number in range(1, wishes.get("rounds", 6) + 1):
        for index in range(len(angles)):
            shift = np.zeros(len(angles))
            shift[index] = math.pi / 2
            here, above, below = energies(task, [angles, angles + shift, angles - shift])
            lowest = angles[index] - math.pi / 2 - math.atan2(2 * here - above - below, above - below)
            angles[index] = (lowest + math.pi) % (2 * math.pi) - math.pi
        history += energies(task, [angles])
        userpub.publish({"round": number, "energy": history[-1]})
    print(f"energy {history[-1]:.4f} hartree after {len(history)} rounds")
    return {"energy": history[-1], "parameters": angles.tolist(), "energies": history}
