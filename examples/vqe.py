"""The ground state energy of the hydrogen molecule by a variational quantum eigensolver.

The Hamiltonian is that of H2 at a bond length of 0.735 angstrom in the STO-3G basis, reduced to two
qubits by the parity mapping. Its lowest eigenvalue is -1.857275 hartree (without the nuclear
repulsion of 0.719969). No randomness is involved: the same parameters give the same energies.

Each iteration sets one of the four angles to its best value. The energy as a function of one angle is
a sine, so three energies give its minimum exactly (Ostaszewski, Grant and Benedetti, Quantum 5, 391, 2021).

`params` may hold `iterations`, the most to do (40 unless given), and `tolerance`, in hartree: stop when
a round over all the angles has won less (1e-6).
"""

import numpy as np
from quafu import QuantumCircuit, simulate

HAMILTONIAN = {
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}


def ansatz(angles):
    """Return a circuit that prepares a real state of two qubits from four angles in radians."""
    q = QuantumCircuit(2)
    q.ry(0, angles[0])
    q.ry(1, angles[1])
    q.cnot(0, 1)
    q.ry(0, angles[2])
    q.ry(1, angles[3])
    return q


def probabilities(angles, basis):
    """Return the four outcome probabilities of measuring both qubits in the Z or the X basis."""
    q = ansatz(angles)
    if basis == "X":
        q.h(0)
        q.h(1)
    q.measure([0, 1], cbits=[0, 1])
    return np.asarray(simulate(q).probabilities).reshape(2, 2)


def energy(angles):
    """Return the energy of the prepared state in hartree."""
    measured = {basis: probabilities(angles, basis) for basis in "ZX"}
    sign = {"I": np.array([1.0, 1.0]), "Z": np.array([1.0, -1.0]), "X": np.array([1.0, -1.0])}
    total = 0.0
    for term, weight in HAMILTONIAN.items():
        outcomes = measured["X" if "X" in term else "Z"]
        total += weight * float(sign[term[0]] @ outcomes @ sign[term[1]])
    return total


def best_angle(angles, index):
    """Return the value of one angle, the others kept, at which the energy is lowest."""
    shift = np.zeros(len(angles))
    shift[index] = np.pi / 2
    here, above, below = energy(angles), energy(angles + shift), energy(angles - shift)
    lowest = angles[index] - np.pi / 2 - np.arctan2(2 * here - above - below, above - below)
    return (lowest + np.pi) % (2 * np.pi) - np.pi


def run(task, userpub, params):
    """Lower the energy angle by angle; publish it after each iteration.

    Returns:
        The lowest energy in hartree, the angles that prepare its state, and the number of iterations.
    """
    wishes = params if isinstance(params, dict) else {}
    iterations = wishes.get("iterations", 40)
    tolerance = wishes.get("tolerance", 1e-6)
    angles = np.array([0.1, 0.2, 0.3, 0.4])
    energies = [energy(angles)]
    for iteration in range(1, iterations + 1):
        index = (iteration - 1) % len(angles)
        angles[index] = best_angle(angles, index)
        energies.append(energy(angles))
        userpub.publish({"iteration": iteration, "energy": energies[-1]})
        if index == len(angles) - 1 and energies[-1 - len(angles)] - energies[-1] < tolerance:
            break
    used = len(energies) - 1
    print(f"energy {energies[-1]:.6f} hartree after {used} iterations")
    return {"energy": energies[-1], "parameters": angles.tolist(), "iterations": used}
