"""Clients at the sandbox that no slow machine disturbs: they wait for long, and give up early only on an answer that a
fault withholds.

The faults `timeout-before` and `timeout-after` hold a request until its caller hangs up. The request that meets one,
and no other, gets a short timeout; and its caller hears of it once the sandbox has accepted it or never will, as it
would have long before on an idle machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import requests
import resend as sdk
from requests.adapters import HTTPAdapter

from local.sandbox.faults import Fault, Faults
from shared.integrations.discord import Discord
from shared.integrations.notion import Notion
from shared.integrations.resend import Resend
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import SOON, WITHIN, until

_READS = ("/query", "/search")


def notion(box: Sandbox, turn: Callable[[], None] = lambda: None) -> Notion:
    """Evergreen's client of Notion.

    Args:
        box: the sandbox, in this process.
        turn: called before each request.
    """
    found = Notion("ntn_sandbox", f"{box.url}/notion", turn=turn, timeout=WITHIN)
    found._client.client = httpx.Client(transport=_Transport(box))
    return found


def resend(box: Sandbox) -> Resend:
    """Evergreen's client of Resend; the SDK has one for the whole process.

    Args:
        box: the sandbox, in this process.
    """
    found = Resend("re_sandbox", f"{box.url}/resend", timeout=WITHIN)
    connection: Any = sdk.default_http_client
    connection._session.mount("http://", _Adapter(box, "resend"))
    return found


def discord(box: Sandbox, hook: str, **options: Any) -> Discord:
    """Evergreen's client of a Discord webhook.

    Args:
        box: the sandbox, in this process.
        hook: the webhook's path.
        options: of the client.
    """
    found = Discord(box.url + hook, timeout=WITHIN, **options)
    found._session.mount("http://", _Adapter(box, "discord"))
    return found


class _Transport(httpx.HTTPTransport):
    """For Notion's client."""

    def __init__(self, box: Sandbox) -> None:
        super().__init__()
        self._box = box

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        writing = request.method in ("POST", "PATCH", "DELETE") and not request.url.path.endswith(_READS)
        with _waiting(self._box, "notion", writing) as short:
            if short:
                request.extensions["timeout"] = request.extensions["timeout"] | {"read": SOON}
            return super().handle_request(request)


class _Adapter(HTTPAdapter):
    """For the clients of Resend and Discord."""

    def __init__(self, box: Sandbox, provider: str) -> None:
        super().__init__()
        self._box, self._provider = box, provider

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        with _waiting(self._box, self._provider, request.method != "GET") as short:
            return super().send(request, *args, **options | ({"timeout": (WITHIN, SOON)} if short else {}))


@contextmanager
def _waiting(box: Sandbox, provider: str, writing: bool) -> Iterator[bool]:
    """Around one request: whether a fault will withhold its answer."""
    assert box.state
    faults = box.state.faults
    before, kind = faults.all(), _next(faults, provider, writing)
    try:
        yield kind in ("timeout-before", "timeout-after")
    except (httpx.ReadTimeout, requests.ReadTimeout):
        if kind == "timeout-before":
            until(lambda: faults.all() != before)
        if kind == "timeout-after":
            until(lambda: faults.all() != before and box.at_work() == 0)
        raise


def _next(faults: Faults, provider: str, writing: bool) -> str | None:
    """The kind of the fault that the next such request meets."""
    return next(
        (fault.kind for fault in map(Fault.model_validate, faults.all()) if fault.meets(provider, writing)), None
    )
