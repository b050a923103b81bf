"""`task` where quafu is installed: quafu's own `Task`, whose circuits the executor sends on.

Imported only after `quafu_bridge` has found quafu.
"""

import re
from collections import OrderedDict
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import quafu
from quafu import exceptions
from quafu.elements import KrausChannel
from quafu.exceptions import CircuitError, ServerError, UserError
from quafu.results import results

from qrt_runner import noise
from qrt_runner.calls import CallRefused, Calls
from qrt_runner.sent import Sent

_WORD = 256
"""Characters of a circuit's name or group."""

_ERRORS: dict[str, type[Exception]] = {
    "user": UserError,
    "token": getattr(exceptions, "InvalidAPIToken", UserError),
    "no_token": getattr(exceptions, "APITokenNotFound", UserError),
    "circuit": CircuitError,
    "compile": getattr(exceptions, "CompileError", ServerError),
    "backend": ServerError,
}


class RuntimeResult(results.ExecResult):  # type: ignore[misc]
    """What `task.send` and `task.retrieve` return. `backend` is where the circuit ran in truth."""

    def __init__(self, told: dict[str, Any], measures: dict[int, int], qasm: str) -> None:
        counts = told.get("counts") or {}
        self.taskid, self.taskname, self.task_status = told["id"], told["name"], told["status"]
        self.backend, self.shots, self.error = told["backend"], told["shots"], told.get("error")
        self.transpiled_openqasm = qasm
        self.measure_base: Any = []
        self.measures = measures
        self.res = dict(counts)
        self.counts = OrderedDict(sorted(counts.items()))
        total = sum(counts.values())
        self.probabilities = {bits: count / total for bits, count in self.counts.items()}
        by_cbit = sorted(measures.values())
        places = [by_cbit.index(cbit) for cbit in measures.values()]
        self.logicalq_res = {"".join(bits[i] for i in places): n for bits, n in self.counts.items()}

    @cached_property
    def transpiled_circuit(self) -> Any:
        """The circuit as it was sent."""
        circuit = quafu.QuantumCircuit(0)
        circuit.from_openqasm(self.transpiled_openqasm)
        return circuit


class RuntimeTask(quafu.Task):  # type: ignore[misc]
    """`task`, the first argument of a program.

    In a result's bitstrings the k-th character is the k-th smallest measured classical bit, as
    Quafu's machines give it.
    """

    def __init__(self, backend: str | None = None, calls: Calls | None = None) -> None:
        self.shots, self.compile, self.tomo, self.priority = 1000, True, False, 2
        self.backend = backend or "simulator"
        self.calls = calls
        self.runtime_job_id = ""
        self.submit_history: dict[str, list[str]] = {}
        self._sent = Sent(self._ask, self._tell)
        self._circuits: dict[str, tuple[dict[int, int], str]] = {}

    def config(
        self,
        backend: str | None = None,
        shots: int = 1000,
        compile: bool = True,  # noqa: A002 - quafu's own name
        tomo: bool = False,
        priority: int = 2,
    ) -> None:
        """Set what `send` uses from now on; the backend stays as it is unless it is named.

        Raises:
            UserError: there is no such backend here, or `shots` is no whole number of at least 1.
        """
        shots = _checked_shots(shots)
        if backend is not None:
            self._ask("backend", backend=str(backend))
            self.backend = str(backend)
        self.shots = shots
        self.compile, self.tomo, self.priority = compile, tomo, priority

    def load_account(self) -> None:
        """Do nothing: the runtime sends circuits on with its own account."""

    def get_backend_info(self) -> dict[str, Any]:
        """Return what is known of the backend: its true name, qubits, gates, and whether it simulates.

        `full_info` is what a machine's service tells of it, `mapping` the names of its physical
        qubits; no diagram is drawn.
        """
        info: dict[str, Any] = self._ask("backend", backend=self.backend)
        structure = info["full_info"].get("topological_structure")
        return {**info, "mapping": _qubit_names(structure or {}), "topology_diagram": None}

    def send(
        self,
        qc: Any,
        name: str = "",
        group: str = "",
        wait: bool = True,
        verbose: bool = False,  # noqa: ARG002 - pyquafu 0.3 said more
    ) -> Any:
        """Send a circuit; return its result, or at once what stands for it until `retrieve` tells more.

        Raises:
            CircuitError: nothing is measured, too many qubits, an invalid gate, classical control.
            UserError: no such backend, or no shots.
            ServerError: the backend failed.
        """
        shots = _checked_shots(self.shots)
        _check_circuit(qc)
        measures, qasm = dict(qc.measures), _qasm(qc)
        told = self._sent.send(
            {"qasm": qasm, "qubits": qc.num, "shots": shots, "gates": _gates(qc)},
            backend=self.backend,
            name=_word(name, "name"),
            group=_word(group, "group"),
            wait=bool(wait),
            compile=bool(self.compile),
            priority=int(self.priority),
        )
        self._circuits[told["id"]] = (measures, qasm)
        self.submit_history.setdefault(group, []).append(told["id"])
        return self._result(told, failing=wait)

    def retrieve(self, taskid: str) -> Any:
        """Return how a circuit sent in this job stands. Raises UserError for an unknown id."""
        if taskid not in self._circuits:
            raise UserError(f"no task {taskid} was sent in this job")
        told = self._sent.stand(taskid)
        if told is None:
            raise UserError(f"the circuit {taskid} is not known any more")
        return self._result(told, failing=False)

    def retrieve_group(self, group: str, history: Any = None, verbose: bool = True) -> Any:
        """Return the results of a group's circuits that have completed; print how each stands if `verbose`.

        Raises:
            UserError: nothing was sent under that name, or a circuit of it is not known any more.
        """
        taskids = (history or self.submit_history).get(group)
        if taskids is None:
            raise UserError(f"no group {group!r} was sent in this job")
        told = self._sent.stand_together([each for each in taskids if each in self._circuits])
        if missing := [each for each in taskids if each not in told]:
            raise UserError(f"the circuit {missing[0]} is not known, or not any more")
        if verbose:
            _print_group(group, [told[each] for each in taskids])
        done = (told[each] for each in taskids if told[each]["status"] == "Completed")
        return [self._result(each, failing=False) for each in done]

    def check_valid_gates(self, qc: Any) -> None:
        """Return if the backend has every gate of a circuit; `send` looks by itself.

        Raises:
            CircuitError: it does not; the text names the gate.
        """
        info = self._ask("backend", backend=self.backend)
        unknown = sorted(set(_gates(qc)) - set(info["gates"]) - noise.CHANNELS) if info["gates"] else []
        if unknown:
            raise CircuitError(f"Invalid operations {unknown[0]!r} for backend {info['name']!r}")

    def _result(self, told: dict[str, Any], *, failing: bool) -> Any:
        if failing and told["status"] == "Failed":
            _refuse(told["error_kind"], told["error"])
        return RuntimeResult(told, *self._circuits[told["id"]])

    def _ask(self, method: str, **fields: Any) -> Any:
        if self.calls is None:
            raise UserError("this task is not connected to a runtime")
        try:
            return self.calls.ask(method, **fields)
        except CallRefused as refused:
            _refuse(refused.kind, refused.detail)

    def _tell(self, method: str, **fields: Any) -> None:
        if self.calls is None:
            raise UserError("this task is not connected to a runtime")
        self.calls.tell(method, **fields)


def _print_group(group: str, circuits: list[dict[str, Any]]) -> None:
    rows = [("task_id", "task_name", "status")]
    rows += [(each["id"], each["name"] or "Untitled", each["status"]) for each in circuits]
    print("Group: ", group or "Untitled group")  # noqa: T201 - as pyquafu does
    for taskid, name, status in rows:
        print(f"{taskid:<16}     {name:<10}     {status:<10}")  # noqa: T201


def _word(text: Any, what: str) -> str:
    word = str(text)
    if len(word) > _WORD or not word.isprintable():
        raise UserError(f"a circuit's {what} has at most {_WORD} characters, all printable")
    return word


def _qubit_names(structure: dict[str, Any]) -> dict[int, str]:
    """Return the names of a machine's qubits by index, as pyquafu counts them."""
    names = {name for pair in structure for name in str(pair).split("_")}
    digits = {name: re.findall(r"\d+", name) for name in names}
    return dict(
        enumerate(sorted(names, key=lambda name: (int(digits[name][0]) if digits[name] else 0, name)))
    )


def _refuse(kind: str, detail: str) -> NoReturn:
    raise _ERRORS.get(kind, ServerError)(detail) from None


def _checked_shots(shots: Any) -> int:
    if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or shots < 1:
        raise UserError(f"shots must be a whole number of at least 1, not {shots!r}")
    return int(shots)


def _check_circuit(qc: Any) -> None:
    if not isinstance(qc, quafu.QuantumCircuit):
        raise CircuitError(f"task.send() takes a QuantumCircuit, not {type(qc).__name__}")
    if not qc.measures:
        raise CircuitError("the circuit measures no qubit: call measure() before task.send()")
    if not qc.executable_on_backend:
        raise CircuitError("the circuit has classical control, which task.send() cannot run")


def _qasm(qc: Any) -> str:
    try:
        return _noisy_qasm(qc) if qc.noised else str(qc.to_openqasm())
    except Exception as exc:  # quafu raises whatever a gate without a name in OpenQASM leads to
        raise CircuitError(f"the circuit cannot be written as OpenQASM: {exc}") from exc


def _noisy_qasm(qc: Any) -> str:
    """Return a circuit as OpenQASM with lines of noise in between, which the simulator reads."""
    plain = quafu.QuantumCircuit(qc.num, qc.cbits_num)
    lines = [*plain.to_openqasm().splitlines()]
    for gate in qc.gates:
        if isinstance(gate, KrausChannel):
            lines.append(noise.line_of(gate))
        else:
            plain.gates = [gate]
            lines += plain.to_openqasm().splitlines()[4:]
    lines += [f"measure q[{qubit}] -> meas[{cbit}];" for qubit, cbit in qc.measures.items()]
    return "\n".join([*lines, ""])


def _gates(qc: Any) -> list[str]:
    return sorted({str(gate.name).lower() for gate in qc.gates})
