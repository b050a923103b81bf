"""What a user of the older generation of the published Kipu client does with it. Run in `.venv/planqk`.

Arguments: the service's endpoint, a client's id and secret (empty for none), the token endpoint. Prints
what it saw as JSON.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from planqk.service.client import PlanqkServiceClient


def main(endpoint: str, key: str, secret: str, token_endpoint: str) -> dict[str, Any]:
    """Run, wait, read, download, list, cancel and fail."""
    client = PlanqkServiceClient(endpoint, key or None, secret or None, token_endpoint)
    good = client.run({"data": {"values": [1, 2, 3]}, "params": {}})
    good.wait_for_final_state(timeout=60, wait=0.05)
    with tempfile.TemporaryDirectory() as directory:
        good.download_result_file("output.json", directory)
        content = (Path(directory) / "output.json").read_text()
    bad = client.run({"params": {"fail": True}})
    bad.wait_for_final_state(timeout=60, wait=0.05)
    slow = client.run({"params": {"sleep": True}})
    slow.cancel()
    slow.wait_for_final_state(timeout=60, wait=0.05)
    return {
        "id": good.id,
        "states": [each.status for each in (good, bad, slow)],
        "ended": good.ended_at,
        "sum": good.result().sum,
        "embedded": good.result().embedded.status.id,
        "files": good.result_files(),
        "content": json.loads(content),
        "logs": [entry.message for entry in good.logs()],
        "no logs": slow.logs(),
        "listed": [each.id for each in client.get_service_executions()],
        "why": [bad.result().title, bad.result().detail],
        "cancelled": slow.result().embedded.status.status,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
