"""Programs written for older pyquafu keep working on the installed one; `task` for all of them.

What is bridged, from the public history of pyquafu:

* up to 0.3, `SimuResult` had `num` (log2 of the length of its probabilities: the measured qubits,
  or all of them when none was measured), `state_vector`, `rho`, `calculate_obs`; in 0.2 `amplitudes` was
  the name of `probabilities`, in `ExecResult` too;
* up to 0.3, `simulate` took `output=` and called its simulators `qfvm_circ`, `qfvm_qasm`,
  `py_simu` and `qfvm_clifford`, and was to be found in `quafu.simulators.simulator`;
* up to 0.3, errors of users stood in `quafu.users.exceptions`; in 0.2, gates in
  `quafu.elements.quantum_element`; in 0.3, in modules by their kind (`element_gates.c11`, `.swap`, ...);
* `User()` was made without a token, and `User` and `Task` had `load_account`;
* `task.send` waited for the result unless told not to, which 0.4 turned round: here it waits; in 0.3 it
  took `verbose`;
* `task.config` could name any subset of its settings; 0.4 resets the others to its defaults. Here
  the backend stays as it is unless it is named.

0.4 itself knows amplitude damping by one name and looks for it by another; both do here.

Everything is added beside what is there; a name that the installed pyquafu has is left alone.
"""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

from qrt_runner.deferred import deferring

_OLD_SIMULATORS = {
    "qfvm_circ": "statevector",
    "qfvm_qasm": "statevector",
    "py_simu": "statevector",
    "qfvm_clifford": "clifford",
}


_GATES = "quafu.elements.element_gates"
_MOVED: dict[str, tuple[str, dict[str, str]]] = {
    "quafu.users.exceptions": ("quafu.exceptions", {}),
    "quafu.elements.quantum_element": (
        "quafu.elements",
        dict.fromkeys(
            (f"{kind}{many}QubitGate" for kind in ("", "Fixed", "Para") for many in ("Single", "Multi")),
            "QuantumGate",
        ),
    ),
    _GATES: (_GATES, {"iSwapGate": "ISwapGate"}),
    **{
        f"{_GATES}.{kind}": (_GATES, {})
        for kind in ("c11", "c12", "cm1", "clifford", "pauli", "phase", "swap")
    },
}
"""Modules of older pyquafu: where what they held stands now, and which of its names are new."""


def install() -> type | None:
    """Add the older names to quafu; return the class of `task`, None where quafu is absent."""
    try:
        with deferring():
            import quafu
            import quafu.simulators.default_simulator
            import quafu.simulators.simulator
            from quafu.results import results
    except ImportError:
        return None
    _bridge_results(results)
    bridged = _bridged_simulate(quafu.simulate)
    quafu.simulate = quafu.simulators.simulate = bridged
    quafu.simulators.simulator.simulate = bridged
    _bridge_user(quafu.User)
    noise = importlib.import_module("quafu.elements.noise")
    quafu.elements.Instruction.ins_classes.setdefault("ampdamping", noise.AmplitudeDamping)
    for module, (name, names) in _MOVED.items():
        _bridge_module(module, name, names)
    from qrt_runner.quafu_task import RuntimeTask

    return RuntimeTask


def _add(owner: type | ModuleType, name: str, value: Any) -> None:
    if not hasattr(owner, name):
        setattr(owner, name, value)


def _bridge_results(results: Any) -> None:
    simulated, executed = results.SimuResult, results.ExecResult
    _add(simulated, "num", property(lambda self: len(self["measures"]) or self["qbitnum"]))
    _add(simulated, "state_vector", property(lambda self: self.get_statevector()))
    _add(simulated, "rho", property(lambda self: self.calc_density_matrix()))
    _add(simulated, "calculate_obs", _calculate_obs)
    for cls in (simulated, executed):
        _add(cls, "amplitudes", property(lambda self: self.probabilities))
        _add(cls, "plot_amplitudes", cls.plot_probabilities)


def _bridge_module(old: str, new: str, names: dict[str, str]) -> None:
    """Let `old` hold what `new` holds, beside what it has; `names` are older names of things in it."""
    source = importlib.import_module(new)
    module = sys.modules.get(old)
    if module is None:
        try:
            module = importlib.import_module(old)
        except ImportError:
            module = sys.modules[old] = ModuleType(old, f"What stands in `{new}` now.")
            parent, _, name = old.rpartition(".")
            setattr(importlib.import_module(parent), name, module)
    for name, value in vars(source).items():
        if not name.startswith("_") and not isinstance(value, ModuleType):
            _add(module, name, value)
    for name, now in names.items():
        _add(module, name, getattr(source, now))


def _calculate_obs(result: Any, pos: Any) -> Any:
    from quafu.utils.basis import measure_obs

    likely = {format(i, f"0{result.num}b"): p for i, p in enumerate(result.probabilities) if p > 1e-14}
    return measure_obs(pos, likely)


def _bridged_simulate(simulate: Any) -> Any:
    @functools.wraps(simulate)
    def bridged(qc: Any, *args: Any, output: str | None = None, **kwargs: Any) -> Any:
        known = (None, "probabilities", "amplitudes", "density_matrix", "state_vector", "count_dict")
        if output not in known:
            raise ValueError(f"output must be one of {', '.join(map(str, known[1:]))}, not {output!r}")
        name = kwargs.get("simulator")
        if isinstance(name, str):
            kwargs["simulator"] = _OLD_SIMULATORS.get(name, name)
        if kwargs.pop("use_clifford", False):
            kwargs["simulator"] = "clifford"
        return simulate(qc, *args, **kwargs)

    return bridged


def _bridge_user(user: Any) -> None:
    from quafu.exceptions import UserError

    load = user._load_account

    def load_if_saved(self: Any) -> Any:
        try:
            return load(self)
        except UserError:
            return None  # `api_token` says what is missing when it is needed

    def load_account(self: Any) -> None:
        self._api_token = load(self)

    user._load_account = load_if_saved
    _add(user, "load_account", load_account)


class NoTask:
    """`task` in an environment without quafu."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"task.{name} needs pyquafu, which this program's environment does not hold")
