"""The hello circuit, loaded once per process: what every system that is compared runs.

`python -m benchmarks.peers.hello` runs it once and prints its result. Needs pyquafu and the repository's root
as working directory.
"""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported; so does our zygote

_namespace: dict[str, Any] = {}
_source = Path("examples/hello.py").read_text()
# pyquafu's results have no `num`; the runtime gives programs one.
exec(compile(_source.replace("simu_res.num", "4"), "hello.py", "exec"), _namespace)


def run() -> Any:
    """Return the program's result; what it prints is caught."""
    with contextlib.redirect_stdout(io.StringIO()):
        return _namespace["run"](None, None, {})


if __name__ == "__main__":
    print(json.dumps(run()))
