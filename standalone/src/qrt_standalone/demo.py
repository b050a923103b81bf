"""The guided first minute: upload the sample programs, watch them, print what they return.

`python -m qrt_standalone.demo`, a client like any other, in a process of its own; the runtime's
address and token come from `QUAFU_RUNTIME_URL` and `QUAFU_RUNTIME_TOKEN`.
"""

import sys
from pathlib import Path

from quafu_runtime import Account, Job, LogText, RuntimeService
from quafu_runtime.errors import NameTaken

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def say(text: str = "") -> None:
    """Print a line for the person who watches, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def demo() -> None:
    """Run the examples against the runtime that the environment names.

    Raises:
        SystemExit: a sample program did not succeed.
    """
    service = RuntimeService(Account())
    _run(service, "hello", "the notebook's circuit, on the simulator", {"shots": 100})
    _run(service, "vqe", "a variational eigensolver that publishes its energy", {})


def _run(service: RuntimeService, name: str, what: str, params: dict[str, object]) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    try:
        service.upload_program(data=source, metadata={"name": name, "backend": "simulator"})
    except NameTaken:
        service.update_program(service.program(name=name).program_id, data=source)
    say(f"\n--- {name}: {what}")
    job = service.run(name=name, params=params)
    for output in job.outputs():
        kind = "log" if isinstance(output, LogText) else "interim"
        say(f"  {kind:>7} | {output.text.rstrip()}")
    say(f"   result | {_result(job)}")


def _result(job: Job) -> str:
    result = job.result(wait=True)
    if "result" not in result:
        raise SystemExit(f"the sample program failed: {job.err_msg()}")
    return str(result["result"])


if __name__ == "__main__":
    demo()
