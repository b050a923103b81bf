"""Imports quafu once, then forks for each line of input; the child runs the program and prints its result
and what it printed.

Runs under the programs' Python, from the repository's root.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

namespace: dict[str, object] = {}
source = Path("examples/hello.py").read_text()
exec(compile(source.replace("simu_res.num", "4"), "hello.py", "exec"), namespace)
with contextlib.redirect_stdout(io.StringIO()):
    namespace["run"](None, None, {})  # type: ignore[operator]

for line in sys.stdin:
    if os.fork() == 0:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = namespace["run"](None, None, json.loads(line))  # type: ignore[operator]
        os.write(1, json.dumps([result, printed.getvalue()]).encode() + b"\n")
        os._exit(0)
    os.wait()
