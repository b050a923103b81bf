"""A package index on loopback, over a folder of packages, that notes what is asked of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override


@dataclass
class Index:
    """Where it is, and the paths that were asked for."""

    url: str
    port: int
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve_index(folder: Path) -> Iterator[Index]:
    """Serve `/simple/<name>/` and the files until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        @override
        def log_message(self, format: str, *arguments: object) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            index.asked.append(self.path)
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "simple":
                self._answer("text/html", _page(folder, name))
            else:
                self._answer("application/octet-stream", _file(folder / name))

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, kind: str, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body or b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    index = Index(f"http://127.0.0.1:{port}/simple", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _page(folder: Path, name: str) -> bytes | None:
    files = [each.name for each in folder.iterdir() if each.name.split("-")[0].replace("_", "-") == name]
    if not files:
        return None
    return "".join(f'<a href="/files/{each}">{each}</a>' for each in sorted(files)).encode()


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
