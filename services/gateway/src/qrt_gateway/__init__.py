"""HTTP, WebSocket, accounts and tokens."""
