"""What the scheduler does with each message: one use case each, no rules here."""

from qrt_chassis.bus.port import CommandHandlers, Handlers, Subscription
from qrt_contracts.commands import CancelJob, DeleteJob, GetJob, ListJobs, ReadOutputs, ShareJob, SubmitJob
from qrt_contracts.events import (
    AttemptFinished,
    CancelRequested,
    Heartbeat,
    JobOutput,
    JobSubmitted,
)
from qrt_contracts.message import Exchange
from qrt_scheduler.service.dispatcher import Dispatcher
from qrt_scheduler.service.history import History
from qrt_scheduler.service.jobs import Jobs

DISPATCH = Subscription(
    queue="scheduler.dispatch",
    bindings=(
        (Exchange.EVENTS, "job.*.submitted"),
        (Exchange.EVENTS, "job.*.cancel"),
        (Exchange.EVENTS, "job.*.finished"),
        (Exchange.EVENTS, "executor.#"),
    ),
    single_active=True,
    concurrency=32,
    prefetch=64,
)
"""All that moves dispatch forward, fed to one replica at a time."""

HISTORY = Subscription(
    queue="scheduler.history",
    bindings=((Exchange.EVENTS, "job.*.output"),),
    concurrency=16,
    prefetch=64,
)
"""Outputs to keep; replicas compete."""


def commands(jobs: Jobs, history: History) -> CommandHandlers:
    """Return what answers each command."""
    return {
        SubmitJob: jobs.submit,
        GetJob: jobs.get,
        ListJobs: jobs.list,
        CancelJob: jobs.cancel,
        DeleteJob: jobs.delete,
        ShareJob: jobs.share,
        ReadOutputs: history.read,
    }


def dispatch(dispatcher: Dispatcher) -> Handlers:
    """Return what the dispatch queue brings."""
    return {
        JobSubmitted: dispatcher.on_submitted,
        CancelRequested: dispatcher.on_cancel,
        AttemptFinished: dispatcher.on_finished,
        Heartbeat: dispatcher.on_heartbeat,
    }


def outputs(history: History) -> Handlers:
    """Return what the history queue brings."""
    return {JobOutput: history.store}
