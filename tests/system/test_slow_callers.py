"""The container's server and callers that are slow, idle, huge or malformed: they have a deadline, and no thread."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from shared import serve
from shared.core import stack_file
from shared.web import server, worker
from tests.support.own_port import own_port
from tests.support.served import get, served
from tests.support.waiting import WITHIN, until

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = """
def handle(request):
    if request.args.get("long"):
        return "x" * 20_000_000
    return str(len(request.get_data()))
"""
OURS = """
from shared.web import endpoint

@endpoint.function("ours", methods=("GET", "POST"))
def handle(request):
    return endpoint.answer(200, {"length": len(endpoint.body(request))})
"""
# What a caller sends before it falls silent.
SLOW = {
    "nothing": b"",
    "a line": b"POST / HTTP/1.1\r\n",
    "half a header": HEAD + b"X-Long: " + b"x" * 4000,
    "a byte of a body": HEAD + b"Content-Length: 60000\r\n\r\n{",
    "half a chunk": CHUNKED + b"ff\r\n{",
    "half the size of a chunk": CHUNKED + b"f",
    "chunks without an end": CHUNKED + b"1\r\n{\r\n" * 50,
    "a promise to continue": HEAD + b"Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n",
    "one request, then half of another": ASK + HEAD,
    "a request, kept alive": ASK,
    "a question, and reads no answer": b"GET /?long=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "too much, and not the rest": HEAD + b"Content-Length: 900000\r\n\r\n" + b"x" * 200_000,
}
NOT_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a length that is no number": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length of 5,000 digits": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length and chunks": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks that are none": CHUNKED + b"zz\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "no version": b"GET /\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header of 200 lines": b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
    "a header of 600 KB": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 8000) for n in range(75)),
    "a line of 100 KB": b"GET /" + b"x" * 100_000,
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with two threads, which survives every test here."""
    with served(tmp_path_factory.mktemp("function"), LENGTH, THREADS="2") as (process, port):
        (worker_process,) = psutil.Process(process.pid).children()
        yield port
        assert worker_process in psutil.Process(process.pid).children()


def opened(port: int, sends: bytes = b"") -> socket.socket:
    """A connection over which something has been sent."""
    caller = socket.create_connection(("127.0.0.1", port), timeout=WITHIN)
    caller.sendall(sends)
    return caller


def rest(caller: socket.socket) -> bytes:
    """What arrives until the server closes the connection."""
    found = b""
    try:
        while data := caller.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def still_open(caller: socket.socket) -> bool:
    """Whether the server has neither closed this connection nor refused what it sent."""
    readable, _, _ = select.select([caller], [], [], 0)
    return not readable or b" 408 " not in caller.recv(100, socket.MSG_PEEK) != b""


def trickled(caller: socket.socket, data: bytes) -> bytes:
    """What the server says to a caller that sends one byte a second and would never come to an end."""
    for byte in data:
        if select.select([caller], [], [], 1)[0]:
            return rest(caller)
        caller.sendall(bytes([byte]))
    raise AssertionError("it took all of it")


class TestOthersAreServed:
    """No one waits for a caller who is slow."""

    @pytest.mark.parametrize("many", [60, 200, 500])
    def test_any_number_of_slow_bodies(self, port: int, many: int) -> None:
        """With two threads and hundreds of unfinished bodies, the next request is answered while all are still held."""
        with ExitStack() as held:
            slow = [held.enter_context(opened(port, SLOW["a byte of a body"])) for _ in range(many)]
            assert get(port, "/") == get(port, "/_/health") == 200
            assert all(map(still_open, slow[-20:]))

    @pytest.mark.parametrize("kind", SLOW)
    def test_every_kind_of_slowness(self, port: int, kind: str) -> None:
        """The same for everything that a caller can be slow with, reading included."""
        with ExitStack() as held:
            slow = [held.enter_context(opened(port, SLOW[kind])) for _ in range(30)]
            assert get(port, "/") == get(port, "/_/ready") == 200
            assert kind == "too much, and not the rest" or all(map(still_open, slow))

    def test_more_connections_than_there_is_room_for(self, port: int) -> None:
        """Where there are too many, the oldest idle one makes room for the newest."""
        with ExitStack() as held:
            idle = [held.enter_context(opened(port)) for _ in range(worker.CONNECTIONS + 100)]
            assert get(port, "/") == 200
            until(lambda: idle[0].recv(1, socket.MSG_DONTWAIT) == b"")
            assert still_open(idle[-1])

    def test_memory_is_bounded(self, tmp_path: Path) -> None:
        """Seven hundred bodies that almost arrive take less than they promise, and end no one else's connection."""
        with served(tmp_path, LENGTH, THREADS="2") as (process, port), ExitStack() as held:

            def size() -> int:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
                return sum(part.memory_info().rss for part in family)

            kept = held.enter_context(opened(port, ASK))
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
            before = size()
            body = HEAD + b"Content-Length: 120000\r\n\r\n" + b"x" * 119_999
            for _ in range(700):
                held.enter_context(opened(port, body))
            assert get(port, "/") == 200
            grown = size() - before
            assert grown < 4 * worker.MEMORY < 700 * len(body), grown
            kept.sendall(ASK)
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 "), "it took none, so it was left alone"

    @pytest.mark.parametrize("kind", NOT_HTTP)
    def test_what_is_no_request_ends_nothing_but_itself(self, port: int, kind: str) -> None:
        """It is refused or dropped, and the next one is served."""
        with opened(port, NOT_HTTP[kind]) as caller:
            caller.shutdown(socket.SHUT_WR)
            assert b" 200 OK" not in rest(caller) or kind == "an asterisk"
        assert get(port, "/") == 200


class TestDeadlines:
    """A request has five seconds for its header and ten for its body, however steadily it drips."""

    @pytest.mark.parametrize(
        ("kind", "drips"),
        [("a line", b"X-A: " + b"a" * 60), ("a byte of a body", b"x" * 60), ("half a chunk", b"x" * 60)],
    )
    def test_a_byte_a_second_is_too_slow(self, port: int, kind: str, drips: bytes) -> None:
        """The caller gets a short 408 in JSON, although bytes kept arriving."""
        with opened(port, SLOW[kind]) as caller:
            head, _, body = trickled(caller, drips).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert json.loads(body) == {"status": "error", "message": "the request did not arrive in time"}

    def test_a_connection_that_says_nothing_is_closed(self, port: int) -> None:
        """Without an answer: it has asked nothing."""
        with opened(port) as caller:
            assert rest(caller) == b""

    def test_a_body_over_the_limit_has_no_longer(self, port: int) -> None:
        """Reading on, so that its caller sees the 413, ends at the same deadline."""
        with opened(port, SLOW["too much, and not the rest"]) as caller:
            assert trickled(caller, b"x" * 60).startswith(b"HTTP/1.1 408 ")

    def test_a_kept_connection_has_new_deadlines(self, port: int) -> None:
        """An idle one is kept for longer than a header may take; then its next request is served."""
        with opened(port, ASK) as caller:
            assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
            time.sleep(worker.HEADER + 2 * worker.SWEEP)
            caller.sendall(ASK)
            assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")


# Bodies that are malformed or end too early, after a header that is right.
MALFORMED = {
    "a size that is no number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a size that no machine has": CHUNKED + b"fffffffffffffffff\r\n{}",
    "a size of 3,000 digits": CHUNKED + b"f" * 3000 + b"\r\n{}",
    "a size line of 100 KB": CHUNKED + b"f" * 100_000,
    "more data than its size": CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
    "no line end after the data": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "bare line feeds": CHUNKED + b"2\n{}\n0\n\n",
    "a second chunk that is none": CHUNKED + b'2\r\n{"\r\nx\r\n',
    "an extension that is none": CHUNKED + b"2;\x01\r\n{}\r\n0\r\n\r\n",
    "a length after the chunks": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a trailer that is none": CHUNKED + b"2\r\n{}\r\n0\r\nX\x00: y\r\n\r\n",
    "an end within a chunk": CHUNKED + b"20\r\n{}",
    "an end within a size": CHUNKED + b"2",
    "an end before the last chunk": CHUNKED + b"2\r\n{}\r\n",
    "an end within a body": HEAD + b"Content-Length: 20\r\n\r\n{}",
    "a length and chunks": HEAD + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def form_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a function that reads its body as all of ours do."""
    with served(tmp_path_factory.mktemp("function"), OURS) as (_, port):
        yield port


class TestMalformed:
    """What is half a request, or none."""

    @pytest.mark.parametrize("kind", MALFORMED)
    def test_a_malformed_body_is_400(self, form_port: int, kind: str) -> None:
        """At once, once, and it ends the connection; the next one is served."""
        with opened(form_port, MALFORMED[kind]) as caller:
            caller.shutdown(socket.SHUT_WR)
            head, _, rest_of_it = rest(caller).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and b"HTTP/1.1" not in rest_of_it
        assert get(form_port, "/") == 200

    @pytest.mark.parametrize("ends", [b"zz\r\n", b"10\r\nx", b""])
    def test_a_body_over_the_limit_may_end_in_any_way(self, form_port: int, ends: bytes) -> None:
        """It is refused for its size, or for its end."""
        with opened(form_port, CHUNKED + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 40 + ends) as caller:
            caller.shutdown(socket.SHUT_WR)
            assert rest(caller)[:13] in (b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")


class TestProtocol:
    """What HTTP/1.1 allows goes on working."""

    def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked_once(self, port: int) -> None:
        """Expect: 100-continue is answered before the body, and the answer follows."""
        head = HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        with opened(port, head) as caller:
            assert caller.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            caller.sendall(b"{}")
            assert rest(caller).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize("at_once", [1, 7, 10_000])
    def test_requests_in_a_row_are_answered_in_a_row(self, port: int, at_once: int) -> None:
        """Pipelined, in packets of any size, with and without bodies."""
        requests = (
            HEAD + b"Content-Length: 3\r\n\r\nabc",
            ASK,
            CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n",
            HEAD + b"Content-Length: 1\r\nConnection: close\r\n\r\nx",
        )
        with opened(port) as caller:
            data = b"".join(requests)
            for start in range(0, len(data), at_once):
                caller.sendall(data[start : start + at_once])
            answers = rest(caller).split(b"HTTP/1.1 200 OK\r\n")[1:]
            assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [b"3", b"0", b"5", b"1"]

    def test_a_long_answer_arrives_whole(self, port: int) -> None:
        """More than the system takes at once is sent as the caller reads it."""
        ask = b"GET /?long=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        with opened(port, ask) as caller:
            assert len(rest(caller).partition(b"\r\n\r\n")[2]) == 20_000_000


# Two public functions and the inner one: the same code, which keeps a thread until the test lets it go.
STACK = """
x-function: &function {environment: {FUNCTION_SOURCE: functions/f/main.py, FUNCTION_TARGET: handle}}
x-public: &public {annotations: {evergreen/public: "true"}}
functions:
  signup: {<<: [*function, *public]}
  health: {<<: [*function, *public]}
  send-email: *function
"""
WAITING = """
import os
import socket

def handle(request):
    if request.args.get("wait"):
        with socket.create_connection(("127.0.0.1", int(os.environ["TEST_PORT"])), timeout=120) as test:
            test.recv(1)
    return request.path
"""
SERVE_ALL = """
import pathlib, sys
from shared import serve
from shared.core import settings
from shared.web import server
server.run(serve.every_function(pathlib.Path(sys.argv[1])), settings.load(), apart=serve.group)
"""


@contextmanager
def all_served(directory: Path, **environ: str) -> Iterator[int]:
    """Every function of STACK in one process with two threads a group; its port."""
    (directory / "functions" / "f").mkdir(parents=True)
    (directory / "functions" / "f" / "main.py").write_text(WAITING)
    (directory / "stack.yml").write_text(STACK)
    with own_port() as port:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE_ALL, str(directory / "stack.yml")],
            cwd=stack_file.ROOT,
            env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "THREADS": "2", **environ},
        )
        try:
            until(lambda: get(port, "/_/ready") == 200)
            yield port
        finally:
            process.kill()
            process.wait()


class TestGroups:
    """Threads that are never shared."""

    def test_busy_public_functions_hold_up_neither_sending_nor_health_nor_probes(self, tmp_path: Path) -> None:
        """All threads of the public functions wait, more requests queue, and the others answer."""
        with socket.create_server(("127.0.0.1", 0)) as test, ExitStack() as held:
            test.settimeout(WITHIN)
            with all_served(tmp_path, TEST_PORT=str(test.getsockname()[1])) as port:
                ask = b"GET /webhook/signup?wait=1 HTTP/1.1\r\nHost: a\r\n\r\n"
                busy = [held.enter_context(opened(port, ask)) for _ in range(20)]
                handling = [held.enter_context(test.accept()[0]) for _ in range(2)]
                paths = ("/function/send-email", "/health", "/webhook/health", "/function/health", *server.PROBES)
                assert [get(port, path) for path in paths] == [200] * len(paths)
                assert all(map(still_open, busy))
                for waiting in handling:
                    waiting.close()

    @pytest.mark.parametrize(
        ("path", "group"),
        [
            ("/function/send-email", "send-email"),
            ("/function/send-email/", "send-email"),
            ("/health", "health"),
            ("/health/", "health"),
            ("/webhook/health", "health"),
            ("/webhook/signup", ""),
            ("/webhook/signup/health", ""),
            ("/unsubscribe", ""),
            ("/console/health", ""),
            ("/", ""),
            ("", ""),
            ("*", ""),
            ("/function", ""),
            ("/webhook/", ""),
            ("//health", ""),
            ("http://a/health", ""),
        ],
    )
    def test_only_what_a_path_names_has_threads_of_its_own(self, path: str, group: str) -> None:
        """A stranger's odd path uses the threads of strangers."""
        assert serve.group(path) == group
