"""Which errors pass by themselves, so that the same call can succeed later unchanged."""

import socket

from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    PyMongoError,
    WTimeoutError,
)

from qrt_contracts.faults import RuntimeFault

_AWAY = (ConnectionError, TimeoutError, socket.gaierror, ConnectionFailure, ExecutionTimeout, WTimeoutError)


def is_passing(error: BaseException) -> bool:
    """Tell whether `error` says that the store or the bus is away, or is a fault worth retrying.

    The drivers' own errors count: a lost connection, no server to talk to, a time limit, an
    election. A group of errors passes if each of its members does.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_passing(each) for each in error.exceptions)
    if isinstance(error, RuntimeFault):
        return error.retryable
    if isinstance(error, PyMongoError) and error.has_error_label("RetryableWriteError"):
        return True
    return isinstance(error, _AWAY)
