"""Packages made by hand, for a folder in place of an index: wheels, sources, and a compiled one."""

import base64
import hashlib
import io
import shutil
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import dedent

from tests.system.composition import PROGRAM_PYTHON

PYDANTIC = ("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection")
"""What every environment of the template holds."""


def wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    requires: Iterable[str] = (),
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel with these files."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    members: dict[str, str | bytes] = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    path = folder / f"{name}-{version}-{tag}.whl"
    return _zipped(path, info, {key: _bytes(value) for key, value in members.items()})


def installed(folder: Path, *names: str) -> None:
    """Write the wheels of packages again that the programs' environment has installed."""
    site = next((PROGRAM_PYTHON.parents[1] / "lib").glob("python*")) / "site-packages"
    for name in names:
        info = next(each for each in site.glob("*.dist-info") if each.name.split("-")[0].lower() == name)
        listed = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
        kept = [each for each in listed if not each.startswith("..") and "__pycache__" not in each]
        skipped = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
        members = {each: (site / each).read_bytes() for each in kept if Path(each).name not in skipped}
        tag = next(line[5:] for line in (info / "WHEEL").read_text().splitlines() if line.startswith("Tag: "))
        version = info.name.removesuffix(".dist-info").split("-")[1]
        _zipped(folder / f"{name}-{version}-{tag}.whl", info.name, members)


def compiled(folder: Path, name: str) -> Path:
    """Write the wheel of a C extension whose `answer()` is 42; of Python where there is no compiler."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    version = sysconfig.get_python_version().replace(".", "")
    tag = f"cp{version}-cp{version}-{platform}"
    if shutil.which("gcc") is None:
        return wheel(folder, name, {f"{name}.py": "def answer():\n    return 42\n"}, tag=tag)
    source = folder / f"{name}.c"
    source.write_text(
        dedent(
            f"""
            #include <Python.h>
            static PyObject *answer(PyObject *self, PyObject *none) {{ return PyLong_FromLong(42); }}
            static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, ""}}, {{0}}}};
            static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", "", -1, methods}};
            PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&module); }}
            """
        )
    )
    library = folder / f"{name}.so"
    include = sysconfig.get_paths()["include"]
    subprocess.run(["gcc", "-shared", "-fPIC", f"-I{include}", source, "-o", library], check=True, timeout=60)
    made = wheel(folder, name, {f"{name}.so": library.read_bytes()}, tag=tag)
    source.unlink()
    library.unlink()
    return made


BACKEND = """
import os, zipfile
NAME, VERSION = {name!r}, {version!r}

def build_wheel(directory, config_settings=None, metadata_directory=None):
{body}
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    path = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, path), "w") as target:
        target.writestr(f"{{NAME}}.py", said)
        about = ["Metadata-Version: 2.1", f"Name: {{NAME}}", f"Version: {{VERSION}}", ""]
        target.writestr(f"{{info}}/METADATA", chr(10).join(about))
        kind = ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any", ""]
        target.writestr(f"{{info}}/WHEEL", chr(10).join(kind))
        target.writestr(f"{{info}}/RECORD", "")
    return path
"""


def source(folder: Path, name: str, *lines: str, version: str = "1.0", open_ended: bool = False) -> Path:
    """Write a source distribution; `lines` run when it is built, and set `said`, the text of its module.

    One that is `open_ended` does not tell what it needs until it is built.
    """
    body = "\n".join(f"    {line}" for line in ("said = ''", *lines))
    about, dynamic = ("2.1", 'dynamic = ["dependencies"]') if open_ended else ("2.2", "")
    members = {
        "PKG-INFO": f"Metadata-Version: {about}\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n{dynamic}\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.format(name=name, version=version, body=body),
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as target:
        for member, text in members.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{member}")
            entry.size = len(text.encode())
            target.addfile(entry, io.BytesIO(text.encode()))
    return path


def _zipped(path: Path, info: str, members: Mapping[str, bytes]) -> Path:
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in members.items())
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
        target.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
