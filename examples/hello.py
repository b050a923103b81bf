"""The smallest useful program: one circuit on the simulator, its outcome probabilities as the result."""

import numpy as np
from quafu import QuantumCircuit, simulate


def five_qubits():
    """Return a circuit on five qubits of which the first four are measured."""
    q = QuantumCircuit(5)
    q.x(0)
    q.x(1)
    q.cnot(2, 1)
    q.ry(1, np.pi / 2)
    q.rx(2, np.pi)
    q.rz(3, 0.1)
    q.cz(2, 3)
    q.measure([0, 1, 2, 3], cbits=[0, 1, 2, 3])
    return q


def run(backend, userpub, params):
    """Simulate the circuit.

    Args:
        backend: what sends circuits to a quantum computer; not needed here.
        userpub: `userpub.publish(...)` sends an interim result; not needed here.
        params: whatever the job was run with.

    Returns:
        The number of measured qubits and the 16 probabilities of the measured bit strings.
    """
    simu_res = simulate(five_qubits())
    print("Hello World!", params)
    return {"num": simu_res.num, "probabilities": simu_res.probabilities.tolist()}
