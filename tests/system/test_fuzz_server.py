"""Every public function behind the real server against thousands of raw requests: odd methods, paths, queries, headers,
bodies and lengths. No 5xx, no crash in the log, and memory that stays where it was.

EVERGREEN_FUZZ_REQUESTS sets how many; EVERGREEN_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import copy
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import pytest
from redis import Redis

from local import valkey
from shared.core import stack_file
from shared.core.settings import Settings
from shared.ledger import ids
from shared.sending import confirm_link
from tests.support.functions_client import ADDRESS, DEFAULTS, LINK, environment
from tests.support.own_port import own_port
from tests.support.served import get
from tests.support.waiting import WITHIN, until
from tests.support.webhook_calls import FORMS, PROOFS, WEBHOOKS, good, proof

REQUESTS = int(os.environ.get("EVERGREEN_FUZZ_REQUESTS", "600"))
SEED = int(os.environ.get("EVERGREEN_FUZZ_SEED", "1"))
GROWTH = 60  # megabytes that the process may need above what it has after a hundred requests
SETTINGS = PROOFS | {
    "CONSOLE_PASSWORD": "spoons and 41 teapots",
    "CHALLENGE_KEY": "challenge-6d2b8e4f0a7c1395-b07e4c9d",
    "TRUSTED_PROXIES": "127.0.0.1",
}
METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "X" * 60)
TEXTS = (
    "",
    "a",
    "\x00",
    "\r\nX-Injected: 1",
    "%00%0d%0a",
    "../../etc/passwd",
    "{{7*7}}",
    "'\";--",
    "\u202e",
    "é" * 300,
    "\U0001f4a9" * 999,
    "9" * 5000,
    "1e999",
    "-0",
    "<b>",
    "null",
)
JUNK: tuple[Any, ...] = (*TEXTS, None, True, -1, 0, 2**63, 1e308, [], {}, [[]], {"a": {"b": [1]}}, [0] * 2000)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "APPLICATION/JSON;;",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "b" * 300,
    "text/plain",
    "",
    "\xff/\xfe",
)
HEADERS: dict[str, tuple[str, ...]] = {
    "X-Forwarded-For": (
        "203.0.113.9",
        "2001:db8::1",
        "[2001:db8::1]:99",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        ",,,",
        "1.2.3",
        "a" * 4000,
        "1.1.1.1," * 500,
        "\xff",
    ),
    "Idempotency-Key": ("key-1", "", " ", "k" * 255, "k" * 256, "k\x7f", "\xe9", "a, b"),
    "X-Request-Id": ("r-1", "x" * 5000, "\xff\xfe", "{}"),
    "Origin": ("https://www.example.org", "null", "\xff", "https://" + "o" * 3000),
    "Authorization": ("Bearer x", "Bearer \xff", "Basic !!!", "Bearer", "basic ZXZlcmdyZWVuOg=="),
    "Cookie": ("session=x", "session=\xff", "=;=;" * 200, "session=" + "e" * 3000),
    "Accept": ("*/*", "q=;,", "text/html;q=nan"),
    "Expect": ("100-continue", "nothing"),
    "Content-Encoding": ("gzip", "identity"),
    "Host": ("127.0.0.1", "", "a b", "\xff", "[::1", "x" * 3000),
    "Range": ("bytes=0-1",),
    "webhook-timestamp": ("nan", "1e999", "-1", "9" * 400),
    "svix-timestamp": ("nan", "١٢٣".encode().decode("latin-1")),
    "Calendly-Webhook-Signature": ("t=,v1=", "t=nan,v1=\xe9", "t=" + "9" * 400),
    "X-Cal-Signature-256": ("\xe9", "0" * 64),
}


BODIES = (
    b"",
    b"[" * 60_000,
    b"\xff\xfe{\x00",
    b'{"email": NaN}',
    b'"\\ud800"',
    b"{}" * 9,
    b"x" * 70_000,
    b'{"email": "a@example.org", "email": 1}',
    b'{"email":"\\ud800@example.org"}',
)


class Fuzz:
    """Makes requests.

    Args:
        seed: of the chances.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        asked = confirm_link.Asked(ids.digest(ADDRESS), 1)
        confirm = confirm_link.link(asked, key=DEFAULTS["UNSUBSCRIBE_KEY"], public_url="")
        self.tokens = [link.partition("=")[2] for link in (LINK, confirm)]

    def request(self) -> tuple[bytes, str]:
        """A request's bytes, and its path."""
        name = self.chance.choice(WEBHOOKS)
        body = self.body(name)
        headers: dict[str, str] = {"Host": "127.0.0.1"}
        if self.chance.random() < 0.9:
            headers |= proof(name, body)
        headers["Content-Type"] = "application/json" if self.chance.random() < 0.8 else self.chance.choice(TYPES)
        for header in self.chance.sample(sorted(HEADERS), self.chance.choice((0, 0, 1, 3))):
            headers[header] = self.chance.choice(HEADERS[header])
        method = "POST" if self.chance.random() < 0.75 else self.chance.choice(METHODS)
        path = self.path(name)
        framing, sent = self.framed(body)
        lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}{framing}\r\n".encode("latin-1") + sent, path

    def path(self, name: str) -> str:
        """Mostly a webhook, else another function, a page with a link's token, or nothing of ours."""
        token = self.chance.choice([*self.tokens * 4, self.tokens[0][:-1], "a.b.c", *map(quote, TEXTS)])
        return self.chance.choice(
            [f"/webhook/{name}"] * 25
            + [f"/webhook/{self.chance.choice(FORMS)}", f"/function/{name}", f"/webhook/{name}/{token}", f"/{name}"]
            + [f"/unsubscribe?token={token}", f"/confirm?token={token}", f"/confirm/{token}?{token}&&=;token="]
            + ["/function/send-email", f"/console/{token}", f"/console/api/{token}", "/console", "/health"]
            + [f"/webhook/{name}?{urlencode({self.chance.choice(TEXTS): self.chance.choice(TEXTS)})}"]
            + ["//", "/%ff", "/webhook//", "/..%2f", f"http://127.0.0.1/webhook/{name}", "*", f"/{'x' * 3000}"]
        )

    def body(self, name: str) -> bytes:
        """A good body, one with junk in it, another format, or no format at all."""
        form = json.loads(good(name))
        match self.chance.randint(0, 7):
            case 0:
                return good(name)
            case 1 | 2 | 3:
                for _ in range(self.chance.randint(1, 3)):
                    self.spoil(form)
                return json.dumps(form, ensure_ascii=self.chance.random() < 0.5).encode("utf-8", "surrogatepass")
            case 4:
                return urlencode({"email": ADDRESS, self.chance.choice(TEXTS): self.chance.choice(TEXTS)}).encode()
            case 5:
                part = 'Content-Disposition: form-data; name="email"; filename="\xff"\r\n\r\n'
                return f"--b\r\n{part}{self.chance.choice(TEXTS)}\r\n--b--".encode()
            case 6:
                return good(name)[: self.chance.randint(0, 40)]
        return self.chance.choice((*BODIES, os.urandom(99)))

    def spoil(self, form: Any) -> None:
        """Put junk somewhere into a form or an event."""
        place = form
        while True:
            key = self.chance.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
            if not (isinstance(place[key], dict | list) and place[key]) or self.chance.random() < 0.25:
                break
            place = place[key]
        place[key] = copy.deepcopy(self.chance.choice(JUNK))
        if isinstance(form, dict) and self.chance.random() < 0.2:
            field = self.chance.choice(("consent", "fax_number", "altcha", "assessment_score"))
            form[field] = copy.deepcopy(self.chance.choice(JUNK))

    def framed(self, body: bytes) -> tuple[str, bytes]:
        """How long the body is said to be, or its chunks, and what is sent of it."""
        size = len(body)
        chunk = b"%x\r\n%b\r\n" % (size, body) if body else b""
        lie = self.chance.choice(
            ("-1", "9" * 400, "1e3", "0x10", f"+{size}", f"{size}, {size}", "", "\xb2", "70000000")
        )
        chunked = "Transfer-Encoding: chunked\r\n"
        return self.chance.choice(
            [(f"Content-Length: {size}\r\n", body)] * 50
            + [("", body), (f"Content-Length: {size + 99}\r\n", body), (f"Content-Length: {size // 2}\r\n", body)]
            + [(f"Content-Length: {lie}\r\n", body), (chunked, chunk + b"0\r\n\r\n"), (chunked, chunk)]
            + [(chunked, b"1;x=y\r\n{\r\n" * 99 + b"0\r\nX: y\r\n\r\n"), (chunked, b"fffffffffffffffff\r\n" + body)]
            + [(f"{chunked}Content-Length: {size}\r\n", chunk + b"0\r\n\r\n"), ("Transfer-Encoding: gzip\r\n", body)]
        )


def statuses_of(port: int, request: bytes) -> list[int]:
    """Send bytes and nothing more; the statuses of all answers until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as caller:
        found = b""
        try:
            caller.sendall(request)
            caller.shutdown(socket.SHUT_WR)
            while data := caller.recv(65536):
                found += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    return [int(start[:3]) for start in found.split(b"HTTP/1.1 ")[1:]]


@pytest.fixture
def server(redis: Redis, valkey_server: valkey.Valkey, tmp_path: Path) -> Iterator[tuple[int, psutil.Process, Path]]:
    """All functions in one process, as the container `plain` runs them: its port, the process, and its log."""
    own = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    log = tmp_path / "log"
    with own_port() as port, log.open("w") as file:
        environ = own | environment(valkey_server, **SETTINGS) | {"HOST": "127.0.0.1", "PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.serve"], cwd=stack_file.ROOT, env=environ, stderr=file
        )
        try:
            until(lambda: get(port, "/_/ready") == 200)
            (worker,) = psutil.Process(process.pid).children()
            yield port, worker, log
        finally:
            process.kill()
            process.wait()


def peak(process: psutil.Process) -> float:
    """The most megabytes that a process has held so far."""
    line = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1000


def test_raw_requests(server: tuple[int, psutil.Process, Path]) -> None:
    """Each gets an answer that is no 5xx, or none where it is no request; the process lives on, and has not grown."""
    port, process, log = server
    fuzz, counted, began, early = Fuzz(SEED), Counter[int](), time.monotonic(), 0.0
    for number in range(REQUESTS):
        request, path = fuzz.request()
        statuses = statuses_of(port, request)
        counted.update(statuses or [0])
        # health says 503 where there is no scheduler, 501 is for an unknown Transfer-Encoding, 505 for another HTTP
        bad = [status for status in statuses if status >= 500 and not (status == 503 and "/health" in path)]
        assert not bad, (number, statuses, request[:3000])
        if number == min(100, REQUESTS - 1):
            early = peak(process)
    most = peak(process)
    seconds = time.monotonic() - began
    print(
        f"{REQUESTS:,} requests in {seconds:.0f} s, peak {most:.0f} MB ({early:.0f} early), {sorted(counted.items())}"
    )
    assert get(port, "/_/health") == 200
    assert process.is_running()
    crashes = [line for line in log.read_text().splitlines() if "crashed" in line or "Traceback" in line]
    assert not crashes, crashes[0][:3000]
    assert most - early < GROWTH
