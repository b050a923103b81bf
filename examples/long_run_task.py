"""A program that takes its time and says how it is getting on."""

import time

ROUNDS = 10


def run(backend, userpub, params):
    """Pause ten times, publish a message after each pause, and return what the job was run with.

    `params` may hold `pause`, the length of one pause in seconds (0.05 unless given).
    """
    print("Hello World!", params)
    pause = params.get("pause", 0.05) if isinstance(params, dict) else 0.05
    for left in range(ROUNDS, 0, -1):
        time.sleep(pause)
        userpub.publish(f"publish from job {left}".encode())
        print("Sleep 10...")
    return {"result": params}
