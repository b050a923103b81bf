"""A discrete-event simulation of the runtime, with service times from measurements."""
