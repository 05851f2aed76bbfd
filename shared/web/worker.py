"""gunicorn's threaded worker, changed so that a thread never waits for a caller.

One loop receives every request whole, within a deadline, and sends every answer; only in between does a request have a
thread. Callers that are slow, idle or gone therefore cost memory, which is limited, and no thread.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.asgi.parser import PythonProtocol
from gunicorn.workers.gthread import TConn, ThreadWorker

from shared.core import log

# Seconds from the first byte (for a new connection: from its start) to the end of the header, from there to the end of
# the body, and for the caller to take the answer; none of them starts again when some bytes arrive.
HEADER, BODY, ANSWER = 5.0, 10.0, 30.0
LINGER = 2.0  # seconds in which a caller that is told to go may read why
HEADER_LIMIT = 65_536  # bytes; what chunks add to a body counts too
LARGEST_CHUNK = 1 << 63  # bytes; a size beyond this is no size
MEMORY = 16 * 1024 * 1024  # bytes of all requests that are still arriving
CONNECTIONS = 800  # below the 1,024 files that a process may open by default
SWEEP = 0.5  # seconds between two looks at the deadlines
# Bodies over the limit, which a function reads only to refuse them: this many at once, with threads of their own.
OVERSIZED = 2
READ = 65_536  # bytes

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSED = {
    HTTPStatus.BAD_REQUEST: "the body is malformed or ends too early",
    HTTPStatus.REQUEST_TIMEOUT: "the request did not arrive in time",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the request is too large",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the header is too large",
}
_NO_CONNECTION = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)
_logger = log.logger("server")


def _refusal(status: HTTPStatus) -> bytes:
    body = json.dumps({"status": "error", "message": _REFUSED[status]}).encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


class _Wire:
    """A connection as a thread sees it: it reads what has arrived and writes what will be sent, without waiting."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = bytearray()
        self.answer = bytearray()
        self.counted = 0  # bytes of `received` that count towards MEMORY
        self.framing: Any = None
        self.expects_continue = False
        self.body_until = 0.0  # 0: the header is not complete
        self.reads_on = False
        self.too_late = False

    def recv(self, size: int) -> bytes:
        if not self.received and self.reads_on:
            return self._read(size)
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def _read(self, size: int) -> bytes:
        """More of a body that is over the limit, until its deadline."""
        try:
            self.socket.settimeout(max(self.body_until - time.monotonic(), 0.001))
            return self.socket.recv(size)
        except TimeoutError:
            self.too_late = True
            return b""

    def sendall(self, data: bytes) -> None:
        self.answer += data

    def shutdown(self, _how: int) -> None:
        """gunicorn's end of an answer that failed midway: the caller sees a closed connection."""
        raise OSError

    def gettimeout(self) -> float:
        return 0.0

    def setblocking(self, _blocking: bool) -> None:
        self.socket.setblocking(False)

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Receives and sends in one loop; only a request that has arrived whole gets a thread, of its own group."""

    def init_process(self) -> None:
        self.groups: defaultdict[str, ThreadPoolExecutor] = defaultdict(lambda: ThreadPoolExecutor(self.cfg.threads))
        self.oversized = ThreadPoolExecutor(OVERSIZED)
        self.reading_on = 0
        self.most = self.app.settings.webhook_body_limit + HEADER_LIMIT
        # What the loop waits for, oldest first: until when, and what happens then.
        self.waiting: dict[TConn, tuple[float, Callable[[TConn], None]]] = {}
        self.held = 0
        self.no_files = False
        self.swept = 0.0
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return self.groups[""]

    # Connections, and the bytes of a request

    def accept(self, listener: socket.socket) -> None:
        try:
            connection, client = listener.accept()
        except OSError as error:
            self.no_files = error.errno in (errno.EMFILE, errno.ENFILE)
            if not self.no_files and error.errno not in _NO_CONNECTION:
                raise
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, _Wire(connection), client, listener.getsockname())
        conn.init()
        self.enqueue_req(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Wait for the next request of a connection; what has arrived of it is looked at first."""
        wire = conn.sock
        wire.setblocking(False)
        wire.body_until, wire.expects_continue, wire.reads_on, wire.too_late = 0.0, False, False, False
        wire.framing = PythonProtocol(
            on_header=partial(_note, wire),
            on_headers_complete=partial(self._header_complete, conn),
            limit_request_line=self.cfg.limit_request_line,
            limit_request_fields=self.cfg.limit_request_fields,
            limit_request_field_size=self.cfg.limit_request_field_size,
        )
        self._wait(conn, selectors.EVENT_READ, self._receive, HEADER, self._too_late)
        if wire.received:
            self._count(conn)
            self._look(conn, bytes(wire.received))

    def _wait(
        self,
        conn: TConn,
        event: int,
        ready: Callable[[TConn, Any], object],
        seconds: float,
        late: Callable[[TConn], None],
    ) -> None:
        self._stop_waiting(conn)
        # Another event of the same round may have ended it.
        self.poller.register(conn.sock.socket, event, lambda file: ready(conn, file) if conn in self.waiting else None)
        self.waiting[conn] = time.monotonic() + seconds, late

    def _stop_waiting(self, conn: TConn) -> None:
        if self.waiting.pop(conn, None):
            self.poller.unregister(conn.sock.socket)

    def _receive(self, conn: TConn, _readable: Any) -> None:
        data = self._read(conn, _readable)
        if data:
            conn.sock.received += data
            self._count(conn)
            self._look(conn, data)

    def _read(self, conn: TConn, _readable: Any) -> bytes:
        """What has arrived; at the end of a connection nothing, and it is closed, after a 400 to half a body."""
        try:
            data: bytes = conn.sock.socket.recv(READ)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data and conn.sock.body_until:
            self._refuse(conn, HTTPStatus.BAD_REQUEST)
        elif not data:
            self._close(conn)
        return data

    def _count(self, conn: TConn) -> None:
        self.held += len(conn.sock.received) - conn.sock.counted
        conn.sock.counted = len(conn.sock.received)

    def _header_complete(self, conn: TConn) -> bool:
        conn.sock.body_until = time.monotonic() + BODY
        if conn in self.waiting:
            self.waiting[conn] = conn.sock.body_until, self._too_late
        return False

    def _look(self, conn: TConn, data: bytes) -> None:
        """Decide what to do with a request of which more has arrived."""
        wire = conn.sock
        try:
            wire.framing.feed(data)
            malformed = wire.framing._chunk_size >= LARGEST_CHUNK
            group = self.app.group(_path(wire.framing)) if wire.framing.is_complete else None
        except Exception:
            malformed, group = True, ""
        if malformed and wire.body_until:
            self._refuse(conn, HTTPStatus.BAD_REQUEST)
        elif group is not None:  # of a malformed header, gunicorn's other parser, in a thread, says what is wrong
            self._answer(conn, self.groups[group])
        elif len(wire.received) > self.most:
            self._read_on(conn)
        elif wire.expects_continue and wire.body_until:
            wire.expects_continue = False
            if wire.framing.http_version >= (1, 1):
                self._send_continue(conn)

    def _send_continue(self, conn: TConn) -> None:
        try:
            conn.sock.socket.send(_CONTINUE)
        except OSError:
            self._close(conn)

    def _read_on(self, conn: TConn) -> None:
        """Let the function refuse a body that is over its limit, and read some of the rest; only a few at once."""
        if not conn.sock.body_until:
            self._refuse(conn, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.reading_on >= OVERSIZED:
            self._refuse(conn, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self.reading_on += 1
            conn.sock.reads_on = True
            self._answer(conn, self.oversized)

    # Threads

    def _answer(self, conn: TConn, group: ThreadPoolExecutor) -> None:
        self._stop_waiting(conn)
        conn.data_ready = True
        answered = group.submit(self.handle, conn)
        answered.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle_request(self, req: Any, conn: TConn) -> bool:
        req._expected_100_continue = False  # the loop has sent it
        return bool(super().handle_request(req, conn))

    def finish_request(self, conn: TConn, done: Future[Any]) -> None:
        """A thread has answered: send that, then wait for the next request or say goodbye."""
        wire = conn.sock
        self.reading_on -= wire.reads_on
        self.held -= wire.counted
        wire.counted = 0
        wire.received[:0] = conn.parser.unreader.take_buffered()  # the beginning of the next request
        if wire.too_late:
            self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
        else:
            keep = done.exception() is None and bool(done.result())
            self._send(conn, self._next if keep else self._linger)

    # Answers

    def _refuse(self, conn: TConn, status: HTTPStatus) -> None:
        conn.sock.answer[:] = _refusal(status)
        self._send(conn, self._linger)

    def _send(self, conn: TConn, then: Callable[[TConn], None], _writable: Any = None) -> None:
        wire = conn.sock
        try:
            wire.setblocking(False)
            del wire.answer[: wire.socket.send(wire.answer)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(conn)
            return
        if not wire.answer:
            then(conn)
        elif _writable is None:
            self._wait(conn, selectors.EVENT_WRITE, lambda c, w: self._send(c, then, w), ANSWER, self._close)

    def _next(self, conn: TConn) -> None:
        self._stop_waiting(conn)
        if conn.sock.received:
            self.enqueue_req(conn)
        else:  # gunicorn keeps the connection for KEEP_ALIVE and calls enqueue_req once there is something to read
            kept: Future[bool] = Future()
            kept.set_result(True)
            super().finish_request(conn, kept)

    def _linger(self, conn: TConn) -> None:
        """Half-close: a connection that is closed while its caller still sends would lose the answer."""
        conn.sock.body_until = 0.0
        try:
            conn.sock.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._wait(conn, selectors.EVENT_READ, self._read, LINGER, self._close)

    def _close(self, conn: TConn) -> None:
        self._stop_waiting(conn)
        self.held -= conn.sock.counted
        conn.sock.counted = 0
        self.nr_conns -= 1
        conn.close()

    # Deadlines and limits

    def murder_pending(self) -> None:
        """gunicorn's hook, called in every round of the loop: end what has taken too long, or is in the way."""
        while self.held > MEMORY and self._drop_oldest(lambda conn: bool(conn.sock.counted)):
            pass
        while (self.no_files or self.nr_conns >= self.worker_connections) and self._make_room():
            self.no_files = False
        now = time.monotonic()
        if now < self.swept + SWEEP:
            return
        self.swept = now
        late = [(conn, end) for conn, (until, end) in self.waiting.items() if until <= now]
        slow = sum(end == self._too_late and bool(conn.sock.received) for conn, end in late)
        if slow:
            _logger.warning("requests.late", count=slow)
        for conn, end in late:
            end(conn)

    def _too_late(self, conn: TConn) -> None:
        if conn.sock.received:
            self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._close(conn)

    def _make_room(self) -> bool:
        """Close one connection, an idle one first, so that new ones get in.

        Returns:
            Whether there was one that waits.
        """
        if not self.keepalived_conns:
            return self._drop_oldest(lambda conn: True)
        conn = self.keepalived_conns.popleft()
        self.poller.unregister(conn.sock)
        self._close(conn)
        return True

    def _drop_oldest(self, which: Callable[[TConn], bool]) -> bool:
        oldest = next(filter(which, self.waiting), None)
        if oldest:
            self._close(oldest)
        return oldest is not None


def _note(wire: _Wire, name: bytes, value: bytes) -> None:
    if name == b"expect" and value.lower() == b"100-continue":
        wire.expects_continue = True


def _path(framing: PythonProtocol) -> str:
    return str(framing.path.decode("latin-1").partition("?")[0])
