"""Circuits with quafu's noise channels: exact, by density matrix, so that a seed fixes what is sampled.

OpenQASM has no noise; between the program's side and the simulator a channel is a line of its own,
`noise bitflip(0.1) q[0];`.
"""

import re
from functools import lru_cache
from typing import Any

import numpy as np

CHANNELS = frozenset({"bitflip", "dephasing", "depolarizing", "ampdamping", "decoherence"})

_NOISE = re.compile(r"noise (\w+)\(([^()]*)\) q\[(\d+)\];")
_QREG = re.compile(r"qreg \w+\[(\d+)\];")
_MEASURE = re.compile(r"measure q\[(\d+)\] -> \w+\[(\d+)\];")
_PLACE = re.compile(r"q\[(\d+)\]")
_SILENT = ("barrier", "delay", "creg", "OPENQASM", "include")
_PAULIS = (
    np.array([[0, 1], [1, 0]], dtype=complex),
    np.array([[0, -1j], [1j, 0]]),
    np.array([[1, 0], [0, -1]], dtype=complex),
)


def is_noisy(qasm: str) -> bool:
    """Tell whether a text has lines of noise."""
    return "\nnoise " in qasm


def line_of(channel: Any) -> str:
    """Return the line that stands for one of quafu's channels. Raises ValueError: impossible numbers."""
    name, given = str(channel.name).lower(), [float(each) for each in channel.paras]
    _kraus(name, given)
    return f"noise {name}({','.join(map(repr, given))}) q[{int(channel.pos[0])}];"


def outcomes(qasm: str) -> tuple[Any, int]:
    """Return the probability of each outcome, by the classical bits as a number, and the number of bits."""
    state: Any = None
    qubits = 0
    measures: dict[int, int] = {}
    for raw in qasm.splitlines():
        line = raw.strip()
        if found := _QREG.fullmatch(line):
            qubits = int(found[1])
            state = np.zeros((2,) * (2 * qubits), dtype=complex)
            state[(0,) * (2 * qubits)] = 1
        elif found := _NOISE.fullmatch(line):
            kraus = _kraus(found[1], [float(each) for each in found[2].split(",")])
            state = sum(_applied(state, each, [int(found[3])], qubits) for each in kraus)
        elif found := _MEASURE.fullmatch(line):
            measures[int(found[1])] = int(found[2])
        elif line and not line.startswith(_SILENT):
            places = [int(each) for each in _PLACE.findall(line)]
            numbers = iter(range(len(places)))
            alone = _PLACE.sub(lambda _, numbers=numbers: f"q[{next(numbers)}]", line)  # type: ignore[misc]
            state = _applied(state, _unitary(alone, len(places)), places, qubits)
    likely = np.einsum("ii->i", state.reshape(1 << qubits, 1 << qubits)).real.clip(0).reshape((2,) * qubits)
    axes = [qubits - 1 - qubit for qubit in sorted(measures, key=measures.__getitem__)]
    rest = [axis for axis in range(qubits) if axis not in axes]
    return likely.transpose(axes + rest).reshape(1 << len(axes), -1).sum(axis=1), len(axes)


def _kraus(name: str, given: list[float]) -> list[Any]:
    """Return the Kraus matrices of a channel. Raises ValueError."""
    if name == "decoherence":
        return _decoherence(*given)
    (p,) = given
    if not 0 <= p <= 1:
        raise ValueError(f"the probability of {name} must be from 0 to 1, not {p!r}")
    x, y, z = _PAULIS
    stays = np.sqrt(1 - p) * np.eye(2)
    if name == "bitflip":
        return [stays, np.sqrt(p) * x]
    if name == "dephasing":
        return [stays, np.sqrt(p) * z]
    if name == "depolarizing":
        return [stays, *(np.sqrt(p / 3) * each for each in (x, y, z))]
    if name == "ampdamping":
        return [np.diag([1, np.sqrt(1 - p)]), np.array([[0, np.sqrt(p)], [0, 0]])]
    raise ValueError(f"there is no noise channel {name!r}")


def _decoherence(t: float, t1: float, t2: float) -> list[Any]:
    if not (t >= 0 and t1 > 0 and 0 < t2 <= 2 * t1):
        raise ValueError(f"decoherence needs t >= 0, T1 > 0 and 0 < T2 <= 2 T1, not {(t, t1, t2)}")
    relaxed, dephased = np.exp(-t / t1), np.exp(-t / t2)
    return [
        np.diag([1, dephased]),
        np.array([[0, np.sqrt(1 - relaxed)], [0, 0]]),
        np.diag([0, np.sqrt(max(0.0, relaxed - dephased**2))]),
    ]


@lru_cache(maxsize=4096)
def _unitary(line: str, qubits: int) -> Any:
    """Return the matrix of one gate on qubits 0, 1, ...; bit k of an index is qubit k."""
    from quafu.simulators.qfvm import simulate_circuit

    from qrt_runner.simulator import parsed

    circuit = parsed(f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{qubits}];\ncreg c[{qubits}];\n{line}\n')
    columns = []
    for index in range(1 << qubits):
        start = np.zeros(1 << qubits, dtype=complex)
        start[index] = 1
        columns.append(np.array(simulate_circuit(circuit, start, 0)[1]))
    return np.array(columns).T


def _applied(state: Any, matrix: Any, places: list[int], qubits: int) -> Any:
    """Return `matrix` times the state times its adjoint, `matrix` on some qubits."""
    many = len(places)
    tensor = matrix.reshape((2,) * (2 * many))
    rows = [qubits - 1 - place for place in reversed(places)]
    state = _contracted(state, tensor, rows)
    return _contracted(state, tensor.conj(), [qubits + row for row in rows])


def _contracted(state: Any, tensor: Any, axes: list[int]) -> Any:
    many = len(axes)
    done = np.tensordot(tensor, state, axes=(list(range(many, 2 * many)), axes))
    return np.moveaxis(done, list(range(many)), axes)
