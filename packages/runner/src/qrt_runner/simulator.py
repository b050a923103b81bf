"""The local simulator: circuits in, counts out, in a sandbox of its own beside the program's.

It is run as a program is, and asks the executor for circuits until there are no more. Circuits are
a program's own text, so whatever their parser does, it does here.
"""

import re
from typing import Any

import numpy as np

_QREG = re.compile(r"qreg (\w+)\[(\d+)\]")
_GATE = re.compile(r"(\w+)(?:\(([^()]*)\))? ((?:\w+\[\d+\],?)+)")
_PLACE = re.compile(r"\[(\d+)\]")
_MEASURE = re.compile(r"measure \w+\[(\d+)\] -> \w+\[(\d+)\]")
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

    circuit = parsed(qasm)
    if clifford:
        found = quafu.simulate(circuit, shots=shots, simulator="clifford").counts
        return {bits: int(count) for bits, count in found.items() if count}
    # The simulator's own sampling takes no seed, and aborts the process when classical bits have gaps.
    probabilities = np.asarray(quafu.simulate(circuit).probabilities, dtype=float)
    drawn = random.multinomial(shots, probabilities / probabilities.sum())
    width = len(circuit.measures)
    return {format(int(i), f"0{width}b"): int(drawn[i]) for i in np.flatnonzero(drawn)}


def parsed(qasm: str) -> Any:
    """Return the circuit of an OpenQASM text; plain ones without quafu's parser, which takes 8 ms."""
    import quafu

    fast = _plain(qasm)
    if fast is not None:
        return fast
    circuit = quafu.QuantumCircuit(0)
    circuit.from_openqasm(qasm)
    return circuit


def _plain(qasm: str) -> Any:
    import quafu

    circuit: Any = None
    measures: dict[int, int] = {}
    for raw in qasm.splitlines()[2:]:
        line = raw.strip().removesuffix(";")
        if not line or line.startswith("creg"):
            continue
        if found := _QREG.fullmatch(line):
            if circuit is not None:
                return None
            circuit = quafu.QuantumCircuit(int(found[2]))
        elif found := _MEASURE.fullmatch(line):
            measures[int(found[1])] = int(found[2])
        elif circuit is None or measures or not _apply(circuit, line):
            return None
    if circuit is not None and measures:
        circuit.measure(list(measures), cbits=list(measures.values()))
    return circuit


def _apply(circuit: Any, line: str) -> bool:
    found = _GATE.fullmatch(line)
    if found is None or found[1] not in _METHODS:
        return False
    try:
        angles = [float(each) for each in found[2].split(",")] if found[2] else []
    except ValueError:
        return False
    places = [int(each) for each in _PLACE.findall(found[3])]
    getattr(circuit, _PLAIN.get(found[1], found[1]))(*places, *angles)
    return True
