"""Programs of older pyquafu on the installed one: one test per difference that is bridged."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.engines import require

pytestmark = pytest.mark.quafu

ROOT = Path(__file__).parents[3]
PROGRAM_PYTHON = ROOT / ".venv" / "programs" / "bin" / "python"
BELL = """
import numpy as np, quafu
from quafu import QuantumCircuit, simulate
q = QuantumCircuit(2)
q.h(0)
q.cnot(0, 1)
q.measure([0, 1])
"""
DIFFERENCES = {
    "a simulation's result knows its number of qubits": "assert simulate(q).num == 2",
    "a simulation's result has its state vector": "assert abs(simulate(q).state_vector[3]) ** 2 > 0.49",
    "a simulation's result has its density matrix": (
        "assert np.allclose(simulate(q, output='density_matrix').rho.diagonal(), [0.5, 0, 0, 0.5])"
    ),
    "a simulation's result calculates observables": "assert simulate(q).calculate_obs([0, 1]) == 1",
    "probabilities were called amplitudes": "assert np.allclose(simulate(q).amplitudes, [0.5, 0, 0, 0.5])",
    "an executed circuit's probabilities too": "assert quafu.ExecResult.amplitudes",
    "amplitudes were plotted": "assert quafu.SimuResult.plot_amplitudes and quafu.ExecResult.plot_amplitudes",
    "simulate took the kind of its output": "simulate(q, output='state_vector')",
    "the statevector simulator was called qfvm_circ": "simulate(q, simulator='qfvm_circ')",
    "the statevector simulator was called qfvm_qasm": "simulate(q, simulator='qfvm_qasm')",
    "there was a simulator in python": "simulate(q, simulator='py_simu')",
    "the Clifford simulator was called qfvm_clifford": (
        "assert sum(simulate(q, simulator='qfvm_clifford', shots=9).counts.values()) == 9"
    ),
    "the Clifford simulator was chosen by a flag": "simulate(q, use_clifford=True, shots=9)",
    "simulate stood in a module of its own": (
        "from quafu.simulators.simulator import simulate as older; assert older(q).num == 2"
    ),
    "a user was made without a token": "quafu.User()",
    "a user loaded its account when told": "assert quafu.User.load_account",
    "errors of users stood elsewhere": (
        "from quafu.users.exceptions import UserError; assert UserError is quafu.exceptions.UserError"
    ),
    "gates stood among the elements": (
        "from quafu.elements.quantum_element import Barrier, Delay, ControlledGate, SingleQubitGate"
    ),
    "the iswap gate was spelt in another way": "from quafu.elements.element_gates import iSwapGate",
    "controlled gates stood in a module of their own": (
        "from quafu.elements.element_gates.c11 import CXGate, CPGate\n"
        "from quafu.elements.element_gates.c12 import FredkinGate\n"
        "from quafu.elements.element_gates.cm1 import ToffoliGate, MCXGate"
    ),
    "swaps and phases stood in modules of their own": (
        "from quafu.elements.element_gates.swap import SwapGate, ISwapGate\n"
        "from quafu.elements.element_gates.phase import PhaseGate"
    ),
    "Clifford and Pauli gates stood together": (
        "from quafu.elements.element_gates.clifford import TGate, SdgGate\n"
        "from quafu.elements.element_gates.pauli import SXGate, WGate"
    ),
    "amplitude damping can be added by the name that is documented": "q.add_noise('ampdamping', [0.1], [0])",
    "sending waited unless it was told not to": (
        "import inspect; from qrt_runner.quafu_task import RuntimeTask\n"
        "assert inspect.signature(task_class.send).parameters['wait'].default is True"
    ),
    "sending could say more": (
        "import inspect; assert 'verbose' in inspect.signature(task_class.send).parameters"
    ),
    "a task was made without an account": "task_class()",
    "a task's settings could be named one by one": (
        "t = task_class(); t.backend = 'b'; t.config(shots=5); assert (t.backend, t.shots) == ('b', 5)"
    ),
    "a task loaded its account when told": "task_class.load_account",
}
RUNS = """
import json, os, sys, traceback
before, snippets = json.loads(sys.argv[1])
task_class = None
if os.environ["BRIDGED"] == "yes":
    from qrt_runner import quafu_bridge
    task_class = quafu_bridge.install()
else:
    import quafu
    task_class = quafu.Task
found = {}
for name, snippet in snippets.items():
    try:
        exec(before + snippet, {"task_class": task_class})
        found[name] = None
    except BaseException:
        found[name] = traceback.format_exc()
print(json.dumps(found), file=sys.stderr)
"""


def outcomes(*, bridged: bool) -> dict[str, str | None]:
    """Run each snippet in one process; return its traceback, None where there is none."""
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    environ = {"PATH": os.defpath, "HOME": "/nonexistent", "BRIDGED": "yes" if bridged else "no"}
    environ["PYTHONPATH"] = str(ROOT / "packages" / "runner" / "src")
    command = [str(PROGRAM_PYTHON), "-W", "ignore", "-c", RUNS, json.dumps([BELL, DIFFERENCES])]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    found: dict[str, str | None] = json.loads(done.stderr.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def with_the_bridge() -> dict[str, str | None]:
    return outcomes(bridged=True)


@pytest.fixture(scope="module")
def without_it() -> dict[str, str | None]:
    return outcomes(bridged=False)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_an_older_program_runs(difference: str, with_the_bridge: dict[str, str | None]) -> None:
    assert with_the_bridge[difference] is None, with_the_bridge[difference]


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_it_would_not_run_without_the_bridge(difference: str, without_it: dict[str, str | None]) -> None:
    assert without_it[difference] is not None
