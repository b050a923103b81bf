"""The bare floor: the smallest script that makes the same hops, the same durable writes and one fork.

No validation, authentication, numbering, limits, retries, leases or isolation: what is left is what
RabbitMQ, MongoDB, HTTP and `fork` cost on this machine. Four processes, as the runtime has:

    gateway    HTTP: a job is posted, then its result is waited for; asks the registry, then the scheduler,
               by reply-to; hears of each change of state
    registry   answers
    scheduler  one insert and two updates per job and one insert of what it printed; quorum queue, confirms
    executor   forks a process that has quafu imported, which runs the program
"""
