"""Container programs for tests, and the orders to run them."""

import io
import zipfile
from collections.abc import Mapping

from qrt_contracts.events import RunAttempt
from qrt_contracts.ids import new_id
from qrt_contracts.values import Limits, Payload, ProgramKind, Resources, RunSpec
from tests.docker.bases import BUSYBOX, PYTHON
from tests.integration.executor.rig import Rig, Told

SMALL = Limits(memory_bytes=128 << 20, disk_bytes=8 << 20, file_bytes=8 << 20, wall_seconds=60)


def python(source: str, *, more: str = "") -> dict[str, str]:
    """Return the files of a program in Python, laid out as the documentation does."""
    dockerfile = (
        f'FROM {PYTHON}\nWORKDIR /app\nCOPY starter starter\n{more}CMD ["python", "-m", "starter.program"]\n'
    )
    return {"Dockerfile": dockerfile, "starter/__init__.py": "", "starter/program.py": source}


def shell(script: str, *, more: str = "") -> dict[str, str]:
    """Return the files of a program that is a static binary with a script to follow."""
    dockerfile = f'FROM {BUSYBOX}\nCOPY run.sh /run.sh\n{more}ENTRYPOINT ["/bin/sh", "/run.sh"]\n'
    return {"Dockerfile": dockerfile, "run.sh": script}


def zipped(files: Mapping[str, str]) -> bytes:
    """Return files as the zip that a user uploads; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


async def order(
    rig: Rig,
    files: Mapping[str, str] | None = None,
    *,
    image: str | None = None,
    given: str = "{}",
    limits: Limits = SMALL,
    resources: Resources | None = None,
    program_id: str | None = None,
    confidential: str | None = None,
) -> RunAttempt:
    """Return the order to run a container program, its bundle stored."""
    bundle = await rig.artifacts.put(zipped(files) if files is not None else b"-")
    return RunAttempt(
        executor=rig.beat.executor,
        incarnation=rig.beat.incarnation,
        job_id=new_id(),
        attempt=1,
        owner="alice",
        run=RunSpec(
            program_id=program_id or new_id(),
            program_name="container",
            version=1,
            kind=ProgramKind.CONTAINER,
            bundle=bundle,
            backend=None,
            limits=limits,
            max_attempts=3,
            image=image,
            resources=resources or Resources(),
        ),
        input=Payload(text=given),
        confidential=confidential,
    )


async def run(rig: Rig, files: Mapping[str, str] | None = None, **how: object) -> Told:
    """Run a container program and return what was told of it."""
    return await rig.end_of(await rig.send(await order(rig, files, **how)), seconds=60)  # type: ignore[arg-type]
