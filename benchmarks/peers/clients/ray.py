"""Ray Jobs' client: `... URL PROGRAM_PYTHON`. Runs in `.venv/bench`.

Ray tells nobody that a job has ended: the client asks, `POLL_SECONDS` apart. The result is the job's log.
"""

import asyncio
import json
import sys
import time

from ray.job_submission import JobStatus, JobSubmissionClient

from benchmarks.peers.driven import drive

POLL_SECONDS = 0.02


class Jobs:
    """Submits the hello program as jobs."""

    def __init__(self, url: str, python: str) -> None:
        self._client = JobSubmissionClient(url)
        self._command = f"{python} -m benchmarks.peers.hello"

    def submit(self) -> str:
        """Submit one job that takes one of the cluster's CPUs."""
        job: str = self._client.submit_job(entrypoint=self._command, entrypoint_num_cpus=1)
        return job

    def result(self, job: str) -> bool:
        """Wait for a job's result."""
        while not (status := self._client.get_job_status(job)).is_terminal():
            time.sleep(POLL_SECONDS)
        log = self._client.get_job_logs(job)
        if status != JobStatus.SUCCEEDED:
            raise SystemExit(f"the job ended as {status}: {log[-2000:]}")
        return "probabilities" in json.loads(log.strip().splitlines()[-1])

    async def one(self) -> bool:
        """Run one job."""
        return self.result(self.submit())

    async def many(self, jobs: int) -> list[float]:
        """Submit all, then wait for each."""
        submitted = [self.submit() for _ in range(jobs)]
        return [time.perf_counter() for job in submitted if self.result(job)]


if __name__ == "__main__":
    submitted = Jobs(*sys.argv[1:])
    asyncio.run(drive(submitted.one, submitted.many))
