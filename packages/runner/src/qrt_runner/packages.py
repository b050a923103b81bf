"""The packages of an environment of a program's own: which of them a zygote imports, and when the rest comes.

An environment is two directories. `trusted` holds packages that the executor knows by name and has
installed from its operator's index, where no other package could write: a zygote imports what is
costly of them. `venv` holds everything else. Whatever stands there is as much the program's as its
own source: nothing of it is imported, nor its `.pth` files read, before an attempt is confined and
has its limits.
"""

import contextlib
import importlib
import importlib.machinery
import io
import os
import site
import sys
import warnings

COSTLY = (
    "typing_extensions", "annotated_types", "numpy", "numpy.random", "numpy.linalg", "numpy.fft",
    "pydantic", "pydantic.main", "pydantic.type_adapter", "pydantic.json_schema", "orjson", "yaml",
    "scipy", "scipy.linalg", "scipy.sparse", "scipy.optimize", "scipy.special", "scipy.stats", "pandas",
    "sympy", "networkx", "matplotlib", "matplotlib.pyplot", "PIL.Image", "requests", "httpx", "loguru",
    "dateutil.parser", "dimod", "sklearn", "qiskit", "qiskit.quantum_info", "qiskit.circuit.library",
)  # fmt: skip
"""Modules of trusted packages, in the order in which they are imported, where they are there."""


def preload(root: str) -> bool:
    """In the zygote: import what is costly of the trusted packages; tell whether forking is still safe."""
    trusted = os.path.join(root, "trusted")
    sys.path.append(trusted)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in COSTLY:
            if _is_there(name.partition(".")[0], trusted):
                # One that cannot be imported is the program's to find out.
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        with contextlib.suppress(Exception):  # without pydantic 2 there is nothing to rehearse
            from qrt_runner import describe

            describe.signature(preload)
    return sys.platform != "linux" or len(os.listdir("/proc/self/task")) == 1


def _is_there(name: str, directory: str) -> bool:
    return importlib.machinery.PathFinder.find_spec(name, [directory]) is not None


def enter(root: str) -> None:
    """In an attempt's process, confined and limited: let it see all packages of its environment.

    From here on the code of packages runs: `.pth` files may import. What the program starts with this
    interpreter sees the same packages.
    """
    venv = os.path.join(root, "venv")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.prefix = sys.exec_prefix = venv
    sys.executable = os.path.join(venv, "bin", "python")
    os.environ["PYTHONPATH"] = os.path.join(root, "trusted")
    os.environ["VIRTUAL_ENV"] = venv
    for give in (site.setquit, site.setcopyright, site.sethelper):
        give()
    site.addsitedir(os.path.join(venv, "lib", version, "site-packages"))
