"""What the driver raises, in words the rest of the project understands."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pamqp.exceptions import PAMQPException


class ConnectionLost(ConnectionError):
    """The connection or the channel ended under a call; what was asked may have happened."""


class Refused(Exception):
    """The broker took a message back: it does not want it now."""


class NoQueue(Exception):
    """A mandatory message found no queue."""


@contextmanager
def driver_errors() -> Iterator[None]:
    """Translate the driver's errors.

    It also cancels waiting calls when a channel closes, although nobody cancelled the task that
    waits: such a cancellation is a lost connection, a real one passes through.

    Raises:
        ConnectionLost: the connection or the channel is gone, or the broker closed it.
        Refused: the broker did not take a message.
        NoQueue: a mandatory message was returned.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionLost("the channel was closed") from error
    except PublishError as error:
        raise NoQueue(str(error)) from None
    except DeliveryError as error:
        raise Refused(str(error)) from None
    except StopAsyncIteration as error:  # what aiormq says where the broker hangs up in the handshake
        raise ConnectionLost("the broker hung up") from error
    except (AMQPError, PAMQPException, ChannelInvalidStateError, OSError) as error:
        raise ConnectionLost(repr(error)) from error
