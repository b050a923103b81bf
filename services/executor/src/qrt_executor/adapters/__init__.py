"""The executor's view of processes, sockets and stores."""
