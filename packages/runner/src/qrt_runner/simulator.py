"""The local simulator: circuits in, counts out, in a sandbox of its own beside the program's.

It is run as a program is, and asks the executor for circuits until there are no more. Circuits are
a program's own text, so whatever their parser does, it does here.
"""

import re
from functools import cache
from typing import Any

import numpy as np

from qrt_runner import noise

_QREG = re.compile(r"qreg q\[(\d+)\];")
_MEASURE = re.compile(r"measure q\[(\d+)\] -> \w+\[(\d+)\];")
_PLAIN = {"cx": "cnot", "ccx": "toffoli"}
_METHODS = frozenset(
    {"h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "sxdg", "id", "rx", "ry", "rz", "p",
     "cx", "cy", "cz", "swap", "iswap", "ccx", "rxx", "ryy", "rzz", "cp"}
)  # fmt: skip


def run(task: Any, userpub: Any, params: Any) -> None:  # noqa: ARG001 - what every program's run takes
    """Serve until the executor has no more circuits."""
    random = np.random.default_rng(params["seed"])
    done: list[dict[str, Any]] = []
    while batch := task.calls.ask("circuits", done=done):
        done = [_outcome(each, random) for each in batch]


def _outcome(circuit: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    try:
        counts = simulated(circuit["qasm"], circuit["shots"], random, clifford=circuit["clifford"])
    except MemoryError:
        return {"error": f"{circuit['qubits']} qubits need more memory than the simulator has"}
    except Exception as exc:  # noqa: BLE001 - the simulator and the parser raise whatever they like
        return {"error": f"{type(exc).__name__}: {exc}"}
    return {"counts": counts}


def simulated(qasm: str, shots: int, random: np.random.Generator, *, clifford: bool) -> dict[str, int]:
    """Return counts by bitstring; its k-th character is the k-th smallest measured classical bit."""
    import quafu

    circuit = _plain(qasm)
    if clifford:
        found = quafu.simulate(circuit or parsed(qasm), shots=shots, simulator="clifford").counts
        return {bits: int(count) for bits, count in found.items() if count}
    # The simulator's own sampling takes no seed, and aborts the process when classical bits have gaps.
    if noise.is_noisy(qasm):
        probabilities, width = noise.outcomes(qasm)
    elif circuit is not None:
        probabilities = _outcomes(circuit)
        width = len(circuit.measures)
    else:
        circuit = parsed(qasm)
        probabilities = np.asarray(quafu.simulate(circuit).probabilities, dtype=float)
        width = len(circuit.measures)
    drawn = random.multinomial(shots, probabilities / probabilities.sum())
    return {format(int(i), f"0{width}b"): int(drawn[i]) for i in np.flatnonzero(drawn)}


def parsed(qasm: str) -> Any:
    """Return the circuit of an OpenQASM text, by quafu's parser, which takes 8 ms."""
    import quafu

    circuit = quafu.QuantumCircuit(0)
    circuit.from_openqasm(qasm)
    return circuit


def _outcomes(circuit: Any) -> Any:
    """Return the probability of each outcome, by the classical bits as a number, the smallest first."""
    from quafu.simulators.qfvm import simulate_circuit

    _, state = simulate_circuit(circuit, np.array([]), 0)
    qubits, measures = circuit.num, circuit.measures
    each = (state.real**2 + state.imag**2).reshape((2,) * qubits)  # the last axis is qubit 0
    axes = [qubits - 1 - qubit for qubit in sorted(measures, key=measures.__getitem__)]
    rest = [axis for axis in range(qubits) if axis not in axes]
    return each.transpose(axes + rest).reshape(1 << len(axes), -1).sum(axis=1)


@cache
def _circuits() -> Any:
    """Return a class of circuits that believes what it is given: `_apply` has looked at it already."""
    import quafu

    class Plain(quafu.QuantumCircuit):  # type: ignore[misc]
        def add_ins(self, ins: Any) -> None:
            self.instructions.append(ins)
            self.gates.append(ins)

    return Plain


def _plain(qasm: str) -> Any:
    """Return the circuit of a text as most programs send it, None for one that quafu's parser has to read."""
    lines = qasm.split("\n")
    if len(lines) < 4 or (found := _QREG.fullmatch(lines[2])) is None or not lines[3].startswith("creg "):
        return None
    qubits = int(found[1])
    circuit = _circuits()(qubits)
    measures: dict[int, int] = {}
    for line in lines[4:]:
        if line.startswith("measure "):
            if (found := _MEASURE.fullmatch(line)) is None:
                return None
            measures[int(found[1])] = int(found[2])
        elif line and (measures or not _apply(circuit, line, qubits)):
            return None
    if not measures or max(measures) >= qubits or len(set(measures.values())) < len(measures):
        return None
    from quafu.elements import Measure

    measure = Measure(measures)
    circuit._measures.append(measure)
    circuit.instructions.append(measure)
    return circuit


def _apply(circuit: Any, line: str, qubits: int) -> bool:
    """Add the gate of a line such as `rxx(0.5) q[0],q[1];`; tell whether it is one of those."""
    head, _, on = line.partition(" q[")
    name, _, given = head.partition("(")
    if name not in _METHODS or on[-2:] != "];" or (given and given[-1] != ")"):
        return False
    try:
        places = [int(each) for each in on[:-2].split("],q[")]
        angles = [float(each) for each in given[:-1].split(",")] if given else ()
        if max(places) >= qubits or min(places) < 0 or len(set(places)) < len(places):
            return False
        getattr(circuit, _PLAIN.get(name, name))(*places, *angles)
    except (ValueError, TypeError):  # no numbers, or as many as the gate does not have
        return False
    return True
