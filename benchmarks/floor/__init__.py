"""The bare floor: the smallest script that makes the same hops, the same durable writes and one fork.

No validation, authentication, numbering, limits, retries, leases or isolation: what is left is what
RabbitMQ, MongoDB, HTTP and `fork` cost on this machine. Four processes, as the runtime has:

    gateway    HTTP; asks the registry, then the scheduler, by reply-to; waits for the end
    registry   answers
    scheduler  one insert and two updates per job, synced; quorum queue with confirms
    executor   forks a process that has quafu imported, which runs the program
"""
