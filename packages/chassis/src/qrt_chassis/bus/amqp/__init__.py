"""The RabbitMQ transport; the only package that imports its driver."""

from qrt_chassis.bus.amqp.bus import AmqpBus

__all__ = ["AmqpBus"]
