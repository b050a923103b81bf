"""The kinds of jobs. `uploads` is `hello` with a new version of its program uploaded before each job."""

from pathlib import Path

HELLO = (Path(__file__).parents[2] / "examples" / "hello.py").read_text()
SLEEP = """
import time


def run(task, userpub, params):
    time.sleep(1)
"""
LOGS = """
def run(task, userpub, params):
    for number in range(1000):
        print(f"line {number:>26}")
"""
TICKER = """
import time


def run(task, userpub, params):
    while True:
        userpub.publish({"t": time.time_ns()})
        time.sleep(1 / params["rate"])
"""
SOURCES = {"hello": HELLO, "sleep": SLEEP, "logs": LOGS, "uploads": HELLO}


def changed(source: str, number: int) -> str:
    """Return a source that does the same and is another version."""
    return f"{source}\n# {number}\n"
