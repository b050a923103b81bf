"""Noise channels, by what they do to known states; in the programs' Python, which has quafu."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import require

pytestmark = pytest.mark.quafu

ROOT = Path(__file__).parents[3]
PROGRAM_PYTHON = ROOT / ".venv" / "programs" / "bin" / "python"
SCRIPT = """
import json, sys
import numpy as np, quafu
from quafu.elements.noise import AmplitudeDamping, BitFlip, Decoherence, Dephasing, Depolarizing
from qrt_runner import noise, quafu_bridge, simulator
from qrt_runner.quafu_task import _noisy_qasm
quafu_bridge.install()

def likely(build, qubits=1):
    q = quafu.QuantumCircuit(qubits)
    build(q)
    return noise.outcomes(_noisy_qasm(q))[0].tolist()

def one(channel, before="x", after=None):
    def build(q):
        getattr(q, before)(0)
        q << channel
        if after: getattr(q, after)(0)
        q.measure([0])
    return likely(build)[1]

def refused(channel):
    try: return noise.line_of(channel)
    except ValueError as exc: return str(exc)

def entangled(q):
    q.rx(0, 0.7); q.cnot(0, 2); q.ry(1, 1.1); q.rxx(2, 1, 0.4); q.toffoli(0, 1, 2); q.cp(2, 0, 0.3); q.h(2)
    q.barrier([0, 1, 2])
    q.measure([2, 0, 1], cbits=[0, 2, 1])

plain = quafu.QuantumCircuit(3); entangled(plain)
exact = simulator._outcomes(simulator.parsed(plain.to_openqasm()))
whole = likely(entangled, 3)
random = np.random.default_rng(1)
q = quafu.QuantumCircuit(1); q.h(0); q.measure([0]); q.add_noise("depolarizing", [0.5])
print(json.dumps({
    "bitflip": one(BitFlip(0, 0.25)),
    "dephasing": one(Dephasing(0, 0.25), "h", "h"),
    "depolarizing": one(Depolarizing(0, 0.3)),
    "ampdamping": one(AmplitudeDamping(0, 0.4)),
    "relaxed": one(Decoherence(0, 1.0, 2.0, 1.5)),
    "dephased": one(Decoherence(0, 1.0, 2.0, 1.5), "h", "h"),
    "same": bool(np.allclose(whole, exact)),
    "sum": sum(whole),
    "counts": [
        simulator.simulated(_noisy_qasm(q), 100, np.random.default_rng(1), clifford=False) for _ in "ab"
    ],
    "refused": [refused(BitFlip(0, 1.5)), refused(Decoherence(0, 1.0, 1.0, 3.0))],
}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    environ = {"PYTHONPATH": str(ROOT / "packages" / "runner" / "src"), "HOME": "/nonexistent"}
    command = [str(PROGRAM_PYTHON), "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    shown: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return shown


@pytest.mark.parametrize(
    ("channel", "likely"),
    [
        ("bitflip", 0.75),
        ("dephasing", 0.25),
        ("depolarizing", 0.8),
        ("ampdamping", 0.6),
        ("relaxed", 0.6065306597),
        ("dephased", 0.2432914405),
    ],
)
def test_a_channel_does_what_its_name_says(found: dict[str, object], channel: str, likely: float) -> None:
    assert found[channel] == pytest.approx(likely)


def test_without_noise_it_is_what_the_state_vector_says(found: dict[str, object]) -> None:
    assert found["same"] is True
    assert found["sum"] == pytest.approx(1)


def test_a_seed_fixes_what_is_sampled(found: dict[str, Any]) -> None:
    one, again = found["counts"]
    assert one == again
    assert sum(one.values()) == 100


def test_numbers_that_make_no_sense_are_refused(found: dict[str, object]) -> None:
    assert found["refused"] == [
        "the probability of bitflip must be from 0 to 1, not 1.5",
        "decoherence needs t >= 0, T1 > 0 and 0 < T2 <= 2 T1, not (1.0, 1.0, 3.0)",
    ]
