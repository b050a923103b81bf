"""A Quafu Runtime client as published ones behave, over `requests` and `websocket-client`.

Written from what is known of their behaviour on the wire: a base that ends in a slash joined with
a path that begins with one, JSON sent as text, the first WebSocket message swallowed, a text
message that ends the stream, one retry after another when the close code is not 1000.
"""

import base64
import json
import queue
import threading
from collections.abc import Callable
from typing import Any

import requests
from websocket import WebSocketApp

FINAL = (2, 3, 4)
POISON = "_poison_pill"


class Refused(Exception):
    """The gateway's answer, where its status is not 200."""

    def __init__(self, status: int, text: str | None) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class QuafuClient:
    """One user's client; `enveloped` False speaks the older dialect."""

    def __init__(self, url: str, token: str, *, enveloped: bool) -> None:
        self._url = url + "/runtime"
        self._token = token
        self._enveloped = enveloped
        self._session = requests.Session()
        self._headers = {"Content-Type": "application/json;charset=UTF-8", "api_token": token}

    def close(self) -> None:
        self._session.close()

    def upload(self, source: str, name: str) -> str:
        payload = {
            "name": name,
            "data": base64.b64encode(source.encode()).decode(),
            "backend": "testbackend",
            "group": None,
            "cost": None,
            "description": None,
            "is_public": 0 if self._enveloped else 2,
        }
        return str(self._post("programs_upload", payload)["id"])

    def update(self, program_id: str, **fields: Any) -> dict[str, Any]:
        return self._post("program_update", {"program_id": program_id, **fields})

    def program(self, **query: str) -> dict[str, Any]:
        found = self._get("program", query)
        found["data"] = base64.b64decode(found["data"]).decode()
        return found

    def programs(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self._get("programs", {"limit": "10", "offset": str(len(found))})
            found |= {each["program_id"]: each for each in page["programs"]}
            if len(found) == page["count"] or len(page["programs"]) < 10:
                return list(found.values())

    def delete_program(self, program_id: str) -> None:
        reply = self._session.delete(
            f"{self._url}/program_delete", headers=self._headers, params={"program_id": program_id}
        )
        self._data(reply)

    def run(self, params: Any = None, **which: str | None) -> str:
        body: dict[str, Any] = {"program_id": None, "program_name": None, **which}
        if params is not None:
            body["params" if self._enveloped else "inputs"] = params
        return str(self._post("programs_run_deploy", body)["job_id"])

    def result(self, job_id: str, *, wait: bool) -> dict[str, Any]:
        reply = self._post("get_result_wait" if wait else "get_result_nowait", {"job_id": job_id})
        if reply["status"] != 2:
            del reply["finish_time"]
        if reply["status"] == 4:
            reply["error_msg"] = reply.pop("result")
        return reply

    def status(self, job_id: str) -> dict[str, Any]:
        return self._get("job_status", {"job_id": job_id})

    def logs(self, job_id: str) -> str:
        return str(self._get("job_logs", {"job_id": job_id})["logs"])

    def cancel(self, job_id: str) -> int:
        return int(self._post("job_cancel", {"job_id": job_id})["status"])

    def delete(self, job_id: str) -> bool:
        return bool(self._get("job_delete", {"job_id": job_id})["deleted" if self._enveloped else "deled"])

    def _post(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(payload)
        return self._data(self._session.post(f"{self._url}/{path}", headers=self._headers, data=body))

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        return self._data(self._session.get(f"{self._url}/{path}", headers=self._headers, params=query))

    def _data(self, reply: requests.Response) -> dict[str, Any]:
        if reply.status_code != 200:
            raise Refused(reply.status_code, None)
        body: dict[str, Any] = reply.json()
        if not self._enveloped:
            return body
        if body["status"] != 200:
            raise Refused(body["status"], body["msg"])
        data: dict[str, Any] = body["data"]
        return data


class QuafuStream:
    """The stream of a job's interim results."""

    def __init__(self, url: str, token: str, job_id: str) -> None:
        self._url = url
        self._headers = {"api_token": token, "job_id": job_id}
        self._acknowledged = False
        self._error: Exception | None = None
        self._code: int | None = None
        self._queue: queue.Queue[str | bytes] = queue.Queue()
        self.connections = 0

    def messages(self, callback: Callable[[str | bytes], None], *, seconds: float = 30) -> None:
        """Hand every message to `callback`, in the caller's thread, until the stream ends."""
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        while (message := self._queue.get(timeout=seconds)) != POISON:
            callback(message)
        thread.join(seconds)

    def _listen(self) -> None:
        try:
            for _ in range(3):
                if self._one_connection():
                    return
        finally:
            self._queue.put(POISON)

    def _one_connection(self) -> bool:
        self._acknowledged, self._error, self._code = False, None, None
        self.connections += 1
        opened: list[Any] = []  # the library forgets to close its socket when the server was faster

        app = WebSocketApp(
            self._url,
            on_open=lambda app: opened.append(getattr(app.sock, "sock", None)),
            header=self._headers,
            on_message=self._on_message,
            on_error=self._on_error,
            on_close=self._on_close,
        )
        app.run_forever(ping_interval=60, ping_timeout=10)
        for each in opened:
            each.close()
        return self._code == 1000 and self._error is None

    def _on_message(self, _: Any, message: str | bytes) -> None:
        if not self._acknowledged:
            self._acknowledged = True
            return
        self._queue.put(message)

    def _on_error(self, _: Any, error: Exception) -> None:
        self._error = error

    def _on_close(self, _: Any, code: int | None, _reason: str | None) -> None:
        self._code = code
