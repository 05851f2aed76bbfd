"""A load generator that costs little itself: a few kept connections, raw HTTP over asyncio."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

CONNECTIONS = 16
ANSWER_WITHIN = 30.0  # seconds


@dataclass
class Answers:
    """What came back.

    Attributes:
        times: milliseconds for each request, sorted; at a fixed rate from the instant at which it should have left.
        statuses: how often each status came; 0 for a request without an answer.
        seconds: for all of them.
    """

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Good answers in a second."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300) / self.seconds


class Connection:
    """One kept connection.

    Args:
        port: of 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, visitor: str = "") -> int:
        """Post JSON, from this visitor if one is named; returns the status, or 0 where nothing was answered."""
        came_by = f"X-Forwarded-For: {visitor}\r\n" if visitor else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
            f"{len(body)}\r\n{came_by}\r\n"
        ).encode()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))
                if b"connection: close" in answer:
                    self.close()
                return int(answer.split(b" ", 2)[1])
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        """Let go of it; the next post opens another."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def _load(
    port: int, path: str, bodies: Sequence[bytes], per_second: float, connections: int, visitors: Sequence[str]
) -> Answers:
    found, waiting = Answers(), iter(enumerate(bodies))
    began = time.perf_counter()

    async def caller() -> None:
        connection = Connection(port)
        for number, body in waiting:
            due = began + number / per_second if per_second else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            found.statuses[await connection.post(path, body, visitors[number % len(visitors)])] += 1
            found.times.append((time.perf_counter() - due) * 1000)
        connection.close()

    await asyncio.gather(*(caller() for _ in range(connections)))
    found.seconds = time.perf_counter() - began
    found.times.sort()
    return found


def post_all(
    port: int,
    path: str,
    forms: Sequence[dict[str, Any]],
    *,
    per_second: float = 0,
    connections: int = CONNECTIONS,
    visitors: Sequence[str] = ("",),
) -> Answers:
    """Post forms, each once.

    Args:
        port: of 127.0.0.1.
        path: where to.
        forms: the JSON bodies.
        per_second: the even rate at which they leave; 0 for as fast as they are answered.
        connections: at the same time.
        visitors: the addresses that they come from, in turn, as a trusted proxy reports them; "" is our own.
    """
    bodies = [json.dumps(form).encode() for form in forms]
    return asyncio.run(_load(port, path, bodies, per_second, connections, visitors))
