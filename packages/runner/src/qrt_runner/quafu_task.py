"""`task` where quafu is installed: quafu's own `Task`, run by quafu's own simulator.

Imported only after `quafu_bridge` has found quafu.
"""

import itertools
from collections import OrderedDict
from typing import Any

import numpy as np
import quafu
from quafu.exceptions import CircuitError, UserError
from quafu.results import results

MAX_QUBITS = 24
"""What `task.send` simulates: a state of 2**24 amplitudes is 256 MiB."""


class SimulatedResult(results.ExecResult):  # type: ignore[misc]
    """What `quafu.Task.send` returns, made from a local simulation."""

    def __init__(self, circuit: Any, counts: dict[str, int], *, taskid: str, name: str) -> None:
        self.taskid, self.taskname, self.task_status = taskid, name, "Completed"
        self.transpiled_openqasm = circuit.to_openqasm()
        self.transpiled_circuit = circuit
        self.measure_base: Any = []
        self.measures = circuit.measures
        self.res = dict(counts)
        self.counts = OrderedDict(sorted(counts.items()))
        total = sum(counts.values())
        self.probabilities = {bits: count / total for bits, count in self.counts.items()}
        by_cbit = sorted(self.measures.values())
        places = [by_cbit.index(cbit) for cbit in self.measures.values()]
        self.logicalq_res = {"".join(bits[i] for i in places): n for bits, n in self.counts.items()}


class SimulatedTask(quafu.Task):  # type: ignore[misc]
    """`task`, the first argument of a program: quafu's own `Task`, run by quafu's simulator.

    It takes any backend's name and simulates it without noise. In a result's bitstrings the
    k-th character is the k-th smallest measured classical bit, as Quafu's machines give it.
    """

    def __init__(self, backend: str | None = None) -> None:
        self.shots, self.compile, self.tomo, self.priority = 1000, True, False, 2
        self.backend = backend or "simulator"
        self.runtime_job_id = ""
        self.submit_history: dict[str, list[str]] = {}
        self._results: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    def config(
        self,
        backend: str | None = None,
        shots: int = 1000,
        compile: bool = True,  # noqa: A002 - quafu's own name
        tomo: bool = False,
        priority: int = 2,
    ) -> None:
        """Set what `send` uses from now on. `compile`, `tomo` and `priority` change nothing here."""
        if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or shots < 1:
            raise UserError(f"shots must be a whole number of at least 1, not {shots!r}")
        self.backend = backend or self.backend
        self.shots = int(shots)
        self.compile, self.tomo, self.priority = compile, tomo, priority

    def load_account(self) -> None:
        """Do nothing: a simulation needs no account."""

    def get_backend_info(self) -> dict[str, Any]:
        """Return what is known of the backend: that it is a simulation."""
        return {"name": self.backend, "simulated": True, "qubits": MAX_QUBITS}

    def send(self, qc: Any, name: str = "", group: str = "", wait: bool = True) -> Any:  # noqa: ARG002
        """Simulate `qc` and return its result, at once, whatever `wait` says.

        Raises:
            CircuitError: nothing is measured, too many qubits, or classical control.
        """
        _check_circuit(qc)
        counts = self._sample(qc)
        taskid = f"simulated-{next(self._numbers)}"
        result = SimulatedResult(qc, counts, taskid=taskid, name=name)
        self._results[taskid] = result
        self.submit_history.setdefault(group, []).append(taskid)
        return result

    def retrieve(self, taskid: str) -> Any:
        """Return the result of an earlier `send`. Raises UserError for an unknown id."""
        if taskid not in self._results:
            raise UserError(f"no task {taskid} was sent in this job")
        return self._results[taskid]

    def _sample(self, qc: Any) -> Any:
        # The simulator's own sampling aborts the process when the classical bits have gaps.
        probabilities = np.asarray(quafu.simulate(qc).probabilities, dtype=float)
        probabilities = probabilities / probabilities.sum()
        drawn = np.random.multinomial(self.shots, probabilities)
        width = len(qc.measures)
        hit = np.flatnonzero(drawn)
        return OrderedDict((format(int(i), f"0{width}b"), int(drawn[i])) for i in hit)


def _check_circuit(qc: Any) -> None:
    if not isinstance(qc, quafu.QuantumCircuit):
        raise CircuitError(f"task.send() takes a QuantumCircuit, not {type(qc).__name__}")
    if qc.num > MAX_QUBITS:
        raise CircuitError(f"{qc.num} qubits are too many: the simulator takes {MAX_QUBITS}")
    if not qc.measures:
        raise CircuitError("the circuit measures no qubit: call measure() before task.send()")
    if not qc.executable_on_backend:
        raise CircuitError("the circuit has classical control, which task.send() cannot run")
