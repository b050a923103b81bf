"""A Python project in its place: unpacked, importable, its input and output files.

The zip is one that the registry has written, but nothing here relies on it.
"""

import importlib
import io
import json
import os
import shutil
import stat
import sys
import zipfile
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from qrt_runner.failures import Failure, described

MODULE = "src.program"
_NAME_BYTES = 250
_VENDOR = "user_code"
"""The package that the vendor's images put a project into: its programs import `user_code.src...`."""


def unpack(archive: bytes, root: str) -> None:
    """Write the members of a zip below `root`. Raises Failure where it cannot be done."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            for member in members.infolist():
                if not member.is_dir():
                    _write_member(members, member, root)
    except (OSError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as exc:
        raise Failure("ImportFailed", f"the project cannot be unpacked: {described(exc)}") from None


def _write_member(members: zipfile.ZipFile, member: zipfile.ZipInfo, root: str) -> None:
    parts = member.filename.split("/")
    if not all(part not in ("", ".", "..") for part in parts):
        raise ValueError(f"the member {member.filename!r} has no plain path")
    path = os.path.join(root, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with members.open(member) as source, open(path, "xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    if member.external_attr >> 16 & stat.S_IXUSR:
        os.chmod(path, 0o700)


def write_input(given: dict[str, Any], directory: str) -> None:
    """Write each property of the input as `<name>.json`; one whose name is no file's name is left out.

    Raises Failure where there is no room for them.
    """
    for name, value in given.items():
        if not _is_file_name(name):
            continue
        try:
            # A lone surrogate has no UTF-8; escaped this way it is JSON all the same.
            with open(
                os.path.join(directory, f"{name}.json"), "w", encoding="utf-8", errors="backslashreplace"
            ) as f:
                f.write(json.dumps(value, ensure_ascii=False))
        except OSError as exc:
            raise Failure(
                "InvalidInput", f"the input cannot be written to a file: {described(exc)}"
            ) from None


def _is_file_name(name: str) -> bool:
    if not name or "/" in name or "\0" in name or name.startswith("$"):
        return False
    return len(name.encode("utf-8", "backslashreplace")) <= _NAME_BYTES


def write_output(name: str, text: str) -> None:
    """Write a file to the output directory, in place of one of that name. Raises OSError."""
    path = os.path.join(os.environ["OUTPUT_DIRECTORY"], name)
    if os.path.lexists(path):
        os.unlink(path)  # and what it may be a link to stays as it is
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def load(root: str) -> Callable[..., Any]:
    """Import the project below `root` and return its `run`. Raises Failure, SystemExit, MemoryError."""
    sys.dont_write_bytecode = True  # this process imports it once
    sys.path.insert(0, root)
    if not os.path.exists(os.path.join(root, _VENDOR)):
        sys.meta_path.insert(0, _VendorNames())
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(MODULE)
    except (SystemExit, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as exc:
        raise Failure("ImportFailed", described(exc), exc) from exc
    run = getattr(module, "run", None)
    if run is None:
        raise Failure("ImportFailed", "src/program.py defines no function run()")
    if not callable(run):
        raise Failure(
            "ImportFailed", f"run in src/program.py is of type {type(run).__name__}, not a function"
        )
    return run  # type: ignore[no-any-return]


class _VendorNames(MetaPathFinder, Loader):
    """Lets `user_code.src...` be another name of `src...`: the same modules, not copies of them."""

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname == _VENDOR or fullname.startswith(f"{_VENDOR}.src"):
            return ModuleSpec(fullname, self, is_package=fullname == _VENDOR)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return None: `exec_module` gets an empty module, which is what the package itself is."""
        del spec
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the real module in the place of a new one."""
        if module.__name__ != _VENDOR:
            sys.modules[module.__name__] = importlib.import_module(
                module.__name__.removeprefix(f"{_VENDOR}.")
            )
