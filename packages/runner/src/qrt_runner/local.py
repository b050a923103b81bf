"""One program in a process of its own on somebody's own machine: `quafu-runtime run --local`.

Run by path with the Python that the program is to have; its argument is the descriptor of the socket on
which the order comes and the program's frames go, as in a sandbox. There is none here: the program can do
whatever the person can who runs it.
"""

import os
import runpy
import socket
import sys
from typing import Any, NoReturn

SIMULATOR = "simulator"
MAX_QUBITS, MAX_CLIFFORD_QUBITS = 24, 32
CLIFFORD = frozenset({"h", "s", "sdg", "x", "y", "z", "id", "cx", "cnot", "cy", "cz", "swap", "barrier"})


def main(arguments: list[str]) -> NoReturn:
    """Take one order and run its program; this process ends with it."""
    from qrt_runner import program, system
    from qrt_runner.order import receive_order

    if sys.platform == "linux":
        system.die_with_parent(os.getppid())
    line_by_line: dict[str, Any] = {"line_buffering": True, "write_through": False}
    for stream in (sys.stdout, sys.stderr):  # whatever the environment says
        stream.reconfigure(errors="backslashreplace", **line_by_line)  # type: ignore[union-attr]
    channel = socket.socket(fileno=int(arguments[1]))
    channel.set_inheritable(False)
    try:
        order = receive_order(channel)
    except EOFError:
        sys.exit(1)
    task = None if order.settings["kind"] == "template" else _task(order.settings)
    program.run_and_exit(order, channel, task)


def _task(settings: dict[str, Any]) -> type | None:
    """Return the class of `task`, its circuits simulated in this process; None where quafu is absent."""
    from qrt_runner import quafu_bridge

    task = quafu_bridge.install()
    if task is None:
        return None
    circuits = LocalCircuits(settings.get("backend"), seed=settings.get("seed"))

    class LocalTask(task):  # type: ignore[misc, valid-type]
        def __init__(self, backend: str | None = None, calls: Any = None) -> None:
            del calls
            super().__init__(backend, circuits)

    return LocalTask


class LocalCircuits:
    """Answers what a program's task asks, as an executor does that has the simulator alone.

    A circuit is simulated when it is sent, so that it has always ended once it is asked about.
    """

    def __init__(self, backend: str | None, *, seed: int | None) -> None:
        import numpy as np

        self._own = backend
        self._random = np.random.default_rng(seed)
        self._ended: dict[str, dict[str, Any]] = {}
        self._warned: set[str] = set()

    def ask(self, method: str, **fields: Any) -> Any:
        """Answer one question. Raises CallRefused."""
        if method == "send":
            told = self._send(**fields)
            return {**told, "takes": None} if fields.get("learn") else told
        if method == "retrieve":
            wanted = (*fields["ids"], *fields.get("others", ()))
            return {"circuits": [self._ended[each] for each in wanted if each in self._ended]}
        self._check_backend(fields["backend"])
        info = {"name": SIMULATOR, "qubits": MAX_QUBITS, "gates": [], "status": "online", "simulated": True}
        return {**info, "full_info": info}

    def tell(self, method: str, **fields: Any) -> None:
        """Take what needs no answer."""
        self.ask(method, **fields)

    def _send(self, **fields: Any) -> dict[str, Any]:
        self._check_backend(fields["backend"])
        circuit = fields["circuit"]
        _check_size(circuit)
        told = {
            "id": str(fields["id"]),
            "name": fields["name"],
            "backend": SIMULATOR,
            "shots": circuit["shots"],
        }
        told |= self._outcome(circuit)
        self._ended[told["id"]] = told
        return told

    def _outcome(self, circuit: dict[str, Any]) -> dict[str, Any]:
        from qrt_runner import simulator

        try:
            counts = simulator.simulated(
                circuit["qasm"], circuit["shots"], self._random, clifford=circuit["qubits"] > MAX_QUBITS
            )
        except Exception as exc:  # noqa: BLE001 - the simulator and the parser raise whatever they like
            detail = f"{type(exc).__name__}: {exc}"
            return {"status": "Failed", "counts": {}, "error": detail, "error_kind": "circuit"}
        return {"status": "Completed", "counts": counts}

    def _check_backend(self, wanted: str) -> None:
        from qrt_runner.calls import CallRefused

        if wanted.casefold() == SIMULATOR or wanted in self._warned:
            return
        if (self._own or SIMULATOR).casefold() != SIMULATOR:
            raise CallRefused("user", f"there is no backend {wanted[:64]!r} here, only {SIMULATOR!r}")
        self._warned.add(wanted)
        text = f"there is no backend {wanted[:64]!r} here: its circuits run on {SIMULATOR!r} instead"
        os.write(2, f"warning: {text}\n".encode("utf-8", "backslashreplace"))


def _check_size(circuit: dict[str, Any]) -> None:
    from qrt_runner.calls import CallRefused

    most = MAX_CLIFFORD_QUBITS if CLIFFORD.issuperset(circuit["gates"]) else MAX_QUBITS
    if circuit["qubits"] > most:
        detail = f"{circuit['qubits']} qubits are too many: the simulator takes {MAX_QUBITS}, "
        detail += f"or {MAX_CLIFFORD_QUBITS} of a circuit with Clifford gates alone"
        raise CallRefused("circuit", detail)


if __name__ == "__main__":
    # The package is made importable as the zygote does it, without its folder on `sys.path`.
    here = os.path.dirname(os.path.abspath(__file__))
    runpy.run_path(os.path.join(here, "zygote.py"), run_name="zygote")["_load_package"]()
    main(sys.argv)
