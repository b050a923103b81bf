"""Projects of the Python template, as their users write them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from textwrap import dedent


def project(program: str, files: Mapping[str, str] | None = None) -> bytes:
    """Return the zip of a project: `src/program.py` with this text, `src/__init__.py`, and other files."""
    members = {"src/__init__.py": "", "src/program.py": dedent(program), **(files or {})}
    return archive({name: text.encode() for name, text in members.items()})


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of these members."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    return whole.getvalue()


def tar_of(members: Mapping[str, bytes], *, compressed: bool = False) -> bytes:
    """Return a tar, or a tar.gz, of these members."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz" if compressed else "w") as target:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return whole.getvalue()
