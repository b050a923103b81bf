"""HTTP and WebSocket: a request in, one use case or command, an answer out."""
