"""What quafu imports and most programs never use, loaded when a program does use it.

quafu imports what it draws with (matplotlib, networkx), what it asks its website with (requests), and by way
of `sparse` the compiler numba. Every fork of the zygote would copy the maps of all that and every exit free
them: more than half of what a job's start costs.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

DEFERRED = (
    "matplotlib",
    "matplotlib.pyplot",
    "networkx",
    "requests",
    "requests.exceptions",
    "scipy.special",
    "sparse",
)


@contextmanager
def deferring() -> Iterator[None]:
    """Meanwhile, give importers a stand-in for each of `DEFERRED` that is not loaded yet.

    What was imported keeps its stand-ins, which load the real module at their first use; whoever imports
    one of these modules afterwards gets the real one.
    """
    stand_ins = {name: _Module(name) for name in DEFERRED if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


class _Module(ModuleType):
    """Stands in for a module: `import x as y` with `y.name` used later, and `from x import name`."""

    __path__: list[str] = []  # noqa: RUF012 - the import system takes it for a package's

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:  # somebody imports from it
            submodule = sys.modules.get(f"{self.__name__}.{name}")
            return submodule or _Name(name, (), {"home": self.__name__})
        return getattr(_loaded(self.__name__), name)


class _Name(type):
    """Stands in for a class or function of a deferred module; itself a class, as annotations need one."""

    home: str

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._real()(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._real())

    def _real(cls) -> Any:
        return getattr(_loaded(cls.home), cls.__name__)


def _loaded(name: str) -> ModuleType:
    """Return a real module, now also in place of the stand-ins that importers of its package hold.

    Not all of what is done with an object can be passed on: an `except` takes real exceptions alone.
    """
    real, package = importlib.import_module(name), name.partition(".")[0]
    for holder in [each for each in sys.modules.values() if isinstance(each, ModuleType)]:
        for attribute, value in list(vars(holder).items()):
            if type(value) is _Module and value.__name__.partition(".")[0] == package:
                setattr(holder, attribute, importlib.import_module(value.__name__))
            elif type(value) is _Name and value.home.partition(".")[0] == package:
                setattr(holder, attribute, getattr(importlib.import_module(value.home), value.__name__))
    return real
