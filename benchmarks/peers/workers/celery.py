"""Celery: the task, for `celery -A benchmarks.peers.workers.celery worker`.

The program is loaded here, so the parent of the pool has it before it forks: the best that prefork can do.
"""

import os
from typing import Any

from celery import Celery

from benchmarks.peers import hello as program

app = Celery("peer", broker=os.environ["PEER_BROKER"], backend="rpc://")


@app.task  # type: ignore[untyped-decorator]
def hello() -> Any:
    """Run the hello program in this worker process."""
    return program.run()
