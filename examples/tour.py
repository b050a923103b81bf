"""The README's tour as a program: upload, run, watch, get the result, see a failure explained.

The runtime's address and token come from QUAFU_RUNTIME_URL and QUAFU_RUNTIME_TOKEN.
"""

from quafu_runtime import Account, JobFailed, RuntimeService, errors

COUNTDOWN = '''
import time

def run(task, userpub, params):
    for step in range(params["steps"]):
        userpub.publish({"step": step, "value": 1 / (step + 1)})
        print("step", step)
        time.sleep(0.2)
    return {"steps": params["steps"]}
'''


def main():
    service = RuntimeService(Account())
    try:
        service.upload_program(data=COUNTDOWN, name="countdown")
    except errors.NameTaken:
        print("the program is there from an earlier tour")
    job = service.run(name="countdown", params={"steps": 5})
    print("job", job.id)
    for output in job.outputs():
        print(f"  output {output.number}: {output.text.rstrip()}")
    print("result:", job.value(timeout=60))
    print("log:", repr(job.logs()))
    try:
        service.run(name="countdown", params={}).value(timeout=60)
    except JobFailed as failed:
        print("a job that fails says why:", failed)
    sweep = service.run_many("countdown", [{"steps": steps} for steps in (1, 2, 3)])
    print("three at once:", sweep.results(timeout=60))


if __name__ == "__main__":
    main()
