"""`JobStatus` of `quafu_runtime`."""

from quafu_runtime import JOB_FINAL_STATES, JobStatus

__all__ = ["JOB_FINAL_STATES", "JobStatus"]
