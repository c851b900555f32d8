"""A web server on this machine that fails as real ones do: it cuts connections, ignores Range, lies."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    body: bytes
    ranges: bool = True  # False: answers 200 with everything, whatever is asked
    cuts: list[int] = field(default_factory=list)  # each of the first answers stops after so many bytes
    statuses: list[int] = field(
        default_factory=list
    )  # each of the first answers is this error; 0: none at all
    says_length: bool = True
    range_start: int | None = None  # where every answer to a Range begins, whatever is asked
    attachment: bool = False  # names the file in the head, as Google Drive does
    raw: bytes | None = None  # the whole answer, head and all, in place of everything else


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: dict[str, Served]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.log: list[tuple[str, int, str]] = []  # path, status, Range header
        self.sent_bytes = 0

    def url(self, name: str = "") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        file = self.server.files.get(self.path.lstrip("/").partition("?")[0])
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if file is None:
            self.answer(404)
        elif file.raw is not None:
            self.server.log.append((self.path, 0, ""))
            self.wfile.write(file.raw)
        elif file.statuses:
            self.answer(file.statuses.pop(0))
        elif not asked or not file.ranges:
            self.send(file, 200, 0)
        elif int(asked[1]) >= len(file.body):
            self.answer(416, {"Content-Range": f"bytes */{len(file.body)}", "Content-Length": "0"})
        else:
            self.send(file, 206, int(asked[1]) if file.range_start is None else file.range_start)

    def send(self, file: Served, status: int, start: int) -> None:
        body = file.body[start:]
        headers = {"Content-Length": str(len(body))} if file.says_length else {}
        if file.attachment:
            headers["Content-Disposition"] = 'attachment; filename="a.zip"'
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"
        self.answer(status, headers)
        if file.cuts:
            body = body[: file.cuts.pop(0)]
        self.server.sent_bytes += len(body)  # before they leave: the client may be done first
        self.wfile.write(body)

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.server.log.append((self.path, status, self.headers.get("Range", "")))
        if status == 0:
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()  # HTTP/1.0: the connection closes after each answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, Served]) -> Iterator[Server]:
    with Server(files) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
