"""A Celery worker with a fresh process per task, on the same broker: a peer to measure beside us.

Runs in an environment of its own (`.venv/bench`) that has celery and pyquafu.
"""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_BROKER"], backend="rpc://")


@app.task  # type: ignore[untyped-decorator]
def hello(params: dict[str, Any]) -> Any:
    """Run the hello program in this worker process."""
    namespace: dict[str, Any] = {}
    source = Path("examples/hello.py").read_text()
    exec(compile(source.replace("simu_res.num", "4"), "hello.py", "exec"), namespace)
    with contextlib.redirect_stdout(io.StringIO()):
        return namespace["run"](None, None, params)
