"""Programs written for older pyquafu keep working on the installed one; `task` for all of them.

What is bridged, from the public history of pyquafu:

* up to 0.3, `SimuResult` had `num` (log2 of the length of its probabilities: the measured qubits,
  or all of them when none was measured), `state_vector`, `rho`; in 0.2 `amplitudes` was the name of
  `probabilities`, in `ExecResult` too;
* up to 0.3, `simulate` took `output=` and called its simulators `qfvm_circ`, `qfvm_qasm`,
  `py_simu` and `qfvm_clifford`;
* `User()` was made without a token, and `User` and `Task` had `load_account`;
* `task.send` waited for the result unless told not to, which 0.4 turned round: here it waits;
* `task.config` could name any subset of its settings; 0.4 resets the others to its defaults. Here
  the backend stays as it is unless it is named.

Everything is added beside what is there; a name that the installed pyquafu has is left alone.
"""

import functools
from typing import Any

from qrt_runner.deferred import deferring

_OLD_SIMULATORS = {
    "qfvm_circ": "statevector",
    "qfvm_qasm": "statevector",
    "py_simu": "statevector",
    "qfvm_clifford": "clifford",
}


def install() -> type | None:
    """Add the older names to quafu; return the class of `task`, None where quafu is absent."""
    try:
        with deferring():
            import quafu
            import quafu.simulators.default_simulator
            from quafu.results import results
    except ImportError:
        return None
    _bridge_results(results)
    bridged = _bridged_simulate(quafu.simulate)
    quafu.simulate = quafu.simulators.simulate = bridged
    _bridge_user(quafu.User)
    from qrt_runner.quafu_task import RuntimeTask

    return RuntimeTask


def _add(cls: type, name: str, value: Any) -> None:
    if not hasattr(cls, name):
        setattr(cls, name, value)


def _bridge_results(results: Any) -> None:
    simulated, executed = results.SimuResult, results.ExecResult
    _add(simulated, "num", property(lambda self: len(self["measures"]) or self["qbitnum"]))
    _add(simulated, "state_vector", property(lambda self: self.get_statevector()))
    _add(simulated, "rho", property(lambda self: self.calc_density_matrix()))
    for cls in (simulated, executed):
        _add(cls, "amplitudes", property(lambda self: self.probabilities))
        _add(cls, "plot_amplitudes", cls.plot_probabilities)


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
