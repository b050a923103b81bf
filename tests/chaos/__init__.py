"""Everything at once: the four services twice, a load, and a seeded sequence of harm.

`python -m tests.chaos --seed 7` prints what it does; its last line is one JSON object. What is checked
is checked from the outside: over HTTP and WebSocket, in the broker's queues and the database.
"""
