import time


def run(task, userpub, params):
    print("Hello World!", params)
    if params == "fail":
        raise ValueError("told to fail")
    if params == "wait":
        time.sleep(600)
    time.sleep(1)
    userpub.publish(b"publish from job 1")
    return {"result": params}
