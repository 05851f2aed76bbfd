"""The deliver stub: an HTTP server that accepts a send and answers as Resend would, quickly: `python -m benchmarks.stub
PORT`.

It takes `POST /emails` and `POST /emails/batch`, keeps each email's `email_id` tag with the time, answers an
`Idempotency-Key` that it knows as before, and refuses what is over its limit with 429, and an address that begins with
`refused` with 422; a permissive batch is taken without it. `POST /set {delay_ms, per_second}` changes how it behaves
and forgets all. It imports nothing of Evergreen's: it serves every contender.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter, deque
from typing import Any

UNLIMITED = 100_000
_TAG = re.compile(rb'"name":\s*"email_id",\s*"value":\s*"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_PERMISSIVE = re.compile(rb"\r\nx-batch-validation:\s*permissive", re.IGNORECASE)
_REFUSED = b'"refused'
_WHY = "Invalid `to` field."
_KEY = re.compile(rb"\r\nidempotency-key:\s*(\S+)", re.IGNORECASE)


class Mailbox:
    """What was accepted, and how requests are treated."""

    def __init__(self) -> None:
        self.set({})

    def set(self, wanted: dict[str, float]) -> None:
        """Forget everything, and answer after `delay_ms` (0) and at most `per_second` times a second (no limit) from
        now on."""
        self.delay = wanted.get("delay_ms", 0) / 1000
        self.per_second = int(wanted.get("per_second", UNLIMITED))
        self.mails: list[tuple[str, float]] = []
        self.rejected: Counter[bytes] = Counter()
        self.answered: dict[bytes, bytes] = {}
        self.requests = self.refused = 0
        self._recent: deque[float] = deque()

    def full(self) -> bool:
        """Whether this request is over the limit, counted in a window of a second."""
        if self.per_second >= UNLIMITED:
            return False
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= 1:
            self._recent.popleft()
        if len(self._recent) >= self.per_second:
            self.refused += 1
            return True
        self._recent.append(now)
        return False

    def accept(self, key: bytes | None, body: bytes, *, batch: bool, permissive: bool) -> tuple[int, bytes]:
        """Take a request's emails, once for each key; returns the status and the answer."""
        self.requests += 1
        if key and key in self.answered:
            return 200, self.answered[key]
        errors: list[dict[str, Any]] = []
        if _REFUSED in body:
            errors, body = self._reject(body)
        if errors and not permissive:
            return 422, json.dumps({"statusCode": 422, "name": "validation_error", "message": _WHY}).encode()
        now, first = time.time(), len(self.mails)
        self.mails += [(tag.decode(), now) for tag in _TAG.findall(body)]
        taken = [{"id": f"stub-{number}"} for number in range(first, len(self.mails))]
        answer = json.dumps({"data": taken, "errors": errors} if batch else taken[0]).encode()
        if key:
            self.answered[key] = answer
        return 200, answer

    def _reject(self, body: bytes) -> tuple[list[dict[str, Any]], bytes]:
        """The errors of a request, and its body without the emails that have one."""
        posted = json.loads(body)
        emails, good, errors = posted if isinstance(posted, list) else [posted], [], []
        for index, email in enumerate(emails):
            if any(address.startswith("refused") for address in email.get("to") or []):
                errors.append({"index": index, "message": _WHY})
                self.rejected.update(_TAG.findall(json.dumps(email).encode()))
            else:
                good.append(email)
        return errors, json.dumps(good).encode()


class Server(asyncio.Protocol):
    """One connection; requests follow each other on it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every request that is there whole."""
        rest = self._rest + data
        while (end := rest.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(rest, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(rest) < whole:
                break
            self._take(rest[:end], rest[end + 4 : whole])
            rest = rest[whole:]
        self._rest = rest

    def _take(self, head: bytes, body: bytes) -> None:
        box, path = self._mailbox, head.split(b" ", 2)[1]
        if not path.startswith(b"/emails"):
            return self._answer(200, self._control(path, body))
        if box.full():
            return self._answer(429, b'{"statusCode": 429, "name": "rate_limit_exceeded", "message": "over the limit"}')
        key = _KEY.search(head)
        status, answer = box.accept(
            key[1] if key else None,
            body,
            batch=path == b"/emails/batch",
            permissive=_PERMISSIVE.search(head) is not None,
        )
        if box.delay:
            asyncio.get_running_loop().call_later(box.delay, self._answer, status, answer)
        else:
            self._answer(status, answer)

    def _control(self, path: bytes, body: bytes) -> bytes:
        box = self._mailbox
        if path == b"/set":
            box.set(json.loads(body))
        if path == b"/mails":
            return json.dumps(box.mails).encode()
        unique = len({name for name, _ in box.mails}) if path == b"/unique" else 0
        return json.dumps(
            {
                "count": len(box.mails),
                "unique": unique,
                "requests": box.requests,
                "refused": box.refused,
                "rejected": len(box.rejected),
                "asked_again": box.rejected.total() - len(box.rejected),
            }
        ).encode()

    def _answer(self, status: int, body: bytes) -> None:
        kind = f"Content-Type: application/json\r\nRateLimit-Limit: {self._mailbox.per_second}"
        if not self._transport.is_closing():
            self._transport.write(
                f"HTTP/1.1 {status} .\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until ended."""
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: Server(mailbox), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
