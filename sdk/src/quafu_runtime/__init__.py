"""Client library of the runtime for hybrid quantum-classical programs.

    from quafu_runtime import Account, RuntimeService

    service = RuntimeService(Account(api_token="..."))
    service.upload_program(data="hello.py", name="hello")
    job = service.run(name="hello", params={"shots": 100})
    print(job.value(timeout=60))

`AsyncRuntimeService` and `AsyncJob` are the same for asyncio. Errors are in `quafu_runtime.errors`.
"""

from qrt_contracts.codec import Progress, QuafuResult
from quafu_runtime import errors
from quafu_runtime._account import Account
from quafu_runtime._async_client import AsyncClient
from quafu_runtime._async_job import AsyncJob
from quafu_runtime._async_service import AsyncRuntimeService
from quafu_runtime._async_sweep import AsyncSweep
from quafu_runtime._client import Client
from quafu_runtime._decoder import ResultDecoder
from quafu_runtime._job import Job
from quafu_runtime._many import JobChange, JobEnd, JobEvent, JobRefused
from quafu_runtime._outputs import InterimResult, JobOutput, LogText
from quafu_runtime._program import RuntimeProgram
from quafu_runtime._program_async import AsyncProgram
from quafu_runtime._program_sync import Program
from quafu_runtime._record import JobResult
from quafu_runtime._service import RuntimeService
from quafu_runtime._status import JOB_FINAL_STATES, JobStatus
from quafu_runtime._stream_async import AsyncJobsStream, AsyncOutputStream
from quafu_runtime._stream_sync import JobsStream, OutputStream
from quafu_runtime._sweep import Sweep
from quafu_runtime._sweep_state import SweepProgress, SweepResults
from quafu_runtime._webhooks import verify_webhook
from quafu_runtime.errors import (
    BuildFailed,
    BuildTimeout,
    JobCancelled,
    JobFailed,
    JobNotSucceeded,
    JobTimeout,
    QuafuRuntimeError,
    RequestRefused,
    SweepFailed,
    WebhookRefused,
)

RuntimeJob = Job

__all__ = [
    "JOB_FINAL_STATES",
    "Account",
    "AsyncClient",
    "AsyncJob",
    "AsyncJobsStream",
    "AsyncOutputStream",
    "AsyncProgram",
    "AsyncRuntimeService",
    "AsyncSweep",
    "BuildFailed",
    "BuildTimeout",
    "Client",
    "InterimResult",
    "Job",
    "JobCancelled",
    "JobChange",
    "JobEnd",
    "JobEvent",
    "JobFailed",
    "JobNotSucceeded",
    "JobOutput",
    "JobRefused",
    "JobResult",
    "JobStatus",
    "JobTimeout",
    "JobsStream",
    "LogText",
    "OutputStream",
    "Program",
    "Progress",
    "QuafuResult",
    "QuafuRuntimeError",
    "RequestRefused",
    "ResultDecoder",
    "RuntimeJob",
    "RuntimeProgram",
    "RuntimeService",
    "Sweep",
    "SweepFailed",
    "SweepProgress",
    "SweepResults",
    "WebhookRefused",
    "errors",
    "verify_webhook",
]
