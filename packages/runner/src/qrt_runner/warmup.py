"""What a zygote does before it serves: import what programs import, and run it once.

quafu imports lazily; its first simulation alone costs over 100 ms, which every job would pay.
"""

import contextlib
import io
import os
import sys
from typing import Any


def warm_up() -> type | None:
    """Import and exercise numpy and quafu where they exist; return the class of `task`.

    Raises:
        RuntimeError: a library has started threads, so that forking is not safe.
    """
    from qrt_runner import quafu_bridge

    task = quafu_bridge.install()
    if task is not None:
        _exercise(task)
    with contextlib.suppress(ImportError):  # an environment without pydantic runs Quafu programs all the same
        from qrt_runner import describe

        describe.signature(simulate_once)
    threads = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1
    if threads != 1:
        raise RuntimeError(f"the zygote has {threads} threads after its imports; forking it is not safe")
    return task


def simulate_once() -> Any:
    """Simulate a small circuit by the path that most programs take, and return it."""
    import numpy as np
    import quafu

    circuit = quafu.QuantumCircuit(2)
    circuit.h(0)
    circuit.rx(1, np.pi / 3)
    circuit.cnot(0, 1)
    circuit.measure([0, 1], cbits=[0, 1])
    _ = quafu.simulate(circuit).probabilities.tolist()
    return circuit


def _exercise(task: Any) -> None:
    import numpy as np
    import quafu

    from qrt_runner import simulator

    circuit = simulate_once()
    _ = quafu.simulate(circuit, shots=4).counts
    _ = (task(), simulator.simulated(circuit.to_openqasm(), 4, np.random.default_rng(), clifford=False))
    with contextlib.redirect_stderr(io.StringIO()):  # the parser generator writes warnings, once
        quafu.QuantumCircuit(2).from_openqasm(circuit.to_openqasm())
    np.random.default_rng().random()
