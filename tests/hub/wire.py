"""Sockets: servers on loopback, one thread for each connection, and the log they write."""

import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from answers import Answer, Asked, RefusedError
from faults import BodyFault, BrokenError, Status

if TYPE_CHECKING:
    from server import Hub

NO_FAULT = BodyFault()


@dataclass
class Request:
    """One request that came; `path` is unquoted and without its query, `sent` counts contents."""

    method: str
    path: str
    range: str | None
    authorized: bool
    status: int = 0
    sent: int = 0


class Server(ThreadingHTTPServer):
    """One address of a hub, answering from its own thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: "Hub", answer: Callable[[Asked], Answer], port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.hub = hub
        self.answer = answer
        self.open: set[socket.socket] = set()
        self.thread = Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive from request to request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do(self) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked.over_the_wire(self.command, self.path, self.headers, body)
        path = unquote(asked.path)
        authorized = asked.token is not None
        request = Request(self.command, path, self.headers.get("Range"), authorized)
        hub.requests.append(request)
        answer = self.find(asked, path)
        request.status = answer.status
        contents = answer.status in (200, 206) and self.command != "HEAD"
        found = hub.fault(BodyFault, self.command, path) if contents else None
        self.send(answer, found or NO_FAULT, request)

    do_GET = do_HEAD = do_POST = do  # noqa: N815

    def find(self, asked: Asked, path: str) -> Answer:
        status = self.server.hub.fault(Status, self.command, path)
        try:
            if status:
                raise RefusedError(status.code, status.error_code, status.message, status.headers)
            return self.server.answer(asked)
        except RefusedError as refusal:
            return refusal.answer

    def send(self, answer: Answer, fault: BodyFault, request: Request) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(fault.length(answer.part)))
        self.send_header("X-Request-Id", f"Root=1-test-{len(self.server.hub.requests)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for piece in fault.spoil(answer.pieces(fault.piece), answer.part):
                request.sent += len(piece)  # before the client can have them, and a test look
                self.wfile.write(piece)
        except BrokenError as broken:
            self.close_connection = True
            if broken.reset:
                now = struct.pack("ii", 1, 0)  # closing without waiting tears the connection
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                self.connection.close()
