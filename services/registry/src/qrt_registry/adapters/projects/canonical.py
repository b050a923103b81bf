"""The one form a project is stored in: the same files are the same bytes, and so the same digest."""

import io
import stat
import zipfile

from qrt_registry.adapters.projects.archive import Files

_WHEN = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def canonical_zip(files: Files) -> bytes:
    """Return a zip of the files: sorted, of one time, not compressed, of mode 0755 or 0644."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as target:
        for path in sorted(files):
            member = zipfile.ZipInfo(path, _WHEN)
            member.create_system = _UNIX
            member.external_attr = (stat.S_IFREG | (0o755 if files[path].executable else 0o644)) << 16
            target.writestr(member, files[path].data)
    return whole.getvalue()
