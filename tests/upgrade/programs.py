"""Programs that a recorded release was given; today's code runs the queued ones of them again."""

from textwrap import dedent

ADDS = dedent("""
    def run(task, userpub, params):
        print("adding", params)
        userpub.publish({"so far": 1})
        userpub.publish(b"bytes")
        return {"sum": sum(params["values"]), "text": "\\u00e9" * params.get("length", 0)}
    """)
"""Logs, interim results, a result that can be too large for a message."""

ADDS_AGAIN = ADDS.replace("adding", "again adding")

WAITS = dedent("""
    import time

    def run(task, userpub, params):
        print("begun", flush=True)
        userpub.publish("begun")
        while time.time() < params["until"]:
            time.sleep(0.05)
        userpub.publish("waited")
        return {"waited": True}
    """)
"""Runs until a moment of the recording: long over when it is run again."""

FAILS = "def run(task, userpub, params):\n    raise ValueError(f'no {params}')\n"

NEVER_ENDS = (
    "import time\ndef run(task, userpub, params):\n    print('on', flush=True)\n    time.sleep(3600)\n"
)

MEASURES = dedent("""
    from quafu import QuantumCircuit

    def run(task, userpub, params):
        q = QuantumCircuit(2)
        q.h(0)
        q.cnot(0, 1)
        q.measure([0, 1], [0, 1])
        task.config(backend="simulator", shots=100, compile=False)
        return dict(task.send(q).counts)
    """)

TELLS_SECRET = dedent("""
    import hashlib, os

    def run(task, userpub, params):
        return hashlib.sha256(os.environ["SECRET_IBM_TOKEN"].encode()).hexdigest()
    """)

SECRET = "a secret that was sealed long ago"

PROJECT = dedent('''
    import os
    from pathlib import Path
    from pydantic import BaseModel
    import plain

    class Data(BaseModel):
        values: list[float] = []

    def run(data: Data, note: str = "") -> dict:
        """Add numbers up."""
        print("adding", data.values)
        output = Path(os.environ["OUTPUT_DIRECTORY"])
        (output / "deep").mkdir()
        (output / "deep" / "note.txt").write_text(note)
        return {"sum": sum(data.values), "plain": plain.VALUE}
    ''')
"""A project with a package of its own."""

BARE = 'def run(values: list[float]) -> dict:\n    """Add numbers up."""\n    return {"sum": sum(values)}\n'
"""A project without packages of its own: what it needs is there for ever."""

DOCKERFILE = 'FROM scratch\nCOPY . /\nCMD ["/run"]\n'
