"""Start the sandbox for a test: in a thread, or as the real process."""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import resend
from flask import Flask, Response, request
from notion_client import APIResponseError, Client
from resend.exceptions import ResendError
from resend.http_client_requests import RequestsClient
from werkzeug.serving import WSGIRequestHandler, make_server

from local.sandbox import app
from local.sandbox.discord import api as discord_api
from local.sandbox.notion import api as notion_api
from local.sandbox.resend import api as resend_api
from local.sandbox.state import State, open_state
from tests.support.own_port import own_port
from tests.support.waiting import WITHIN, until

ROOT = Path(__file__).parents[2]
KEY = {"Authorization": "Bearer re_sandbox"}
NOTION = {"Authorization": "Bearer ntn_sandbox", "Notion-Version": "2025-09-03"}
EMAIL: dict[str, Any] = {
    "from": "Evergreen <hello@example.org>",
    "to": "jane@example.org",
    "subject": "Hello",
    "html": "<p>Hi</p>",
    "text": "Hi",
}


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(wsgi_app: Any) -> Iterator[str]:
    """Serve a WSGI app in a thread on a free port, and give its URL.

    Args:
        wsgi_app: the app.
    """
    server = make_server("127.0.0.1", 0, wsgi_app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Counted:
    """A WSGI app that knows how many requests it is handling."""

    def __init__(self, wsgi_app: Any) -> None:
        self._app, self._at_work, self._lock = wsgi_app, 0, threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self._add(1)
        try:
            return self._app(environ, start_response)
        finally:
            self._add(-1)

    def _add(self, change: int) -> None:
        with self._lock:
            self._at_work += change

    def at_work(self) -> int:
        """How many."""
        return self._at_work


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox.

    Attributes:
        url: its root; Resend is below `/resend`, Notion below `/notion/v1`.
        state: its parts, where it runs in this process.
        at_work: how many requests it has taken and not done with, where it runs in this process.
    """

    url: str
    state: State | None = None
    at_work: Callable[[], int] = lambda: 0

    def post(self, path: str, json: Any = None) -> Any:
        """Post JSON to the sandbox's own API and give the decoded answer."""
        answer = requests.post(self.url + path, json=json, timeout=WITHIN)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Read from the sandbox's own API."""
        answer = requests.get(self.url + path, timeout=WITHIN)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind: str, **fields: Any) -> None:
        """Set a fault, for one request unless `count` says otherwise."""
        self.post("/faults", {"provider": "resend", "kind": kind, "count": 1} | fields)

    def outbox(self) -> list[dict[str, Any]]:
        """What was accepted."""
        entries: list[dict[str, Any]] = self.get("/outbox.json")
        return entries

    def resend(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call Resend's API as a plain HTTP client."""
        options.setdefault("headers", KEY)
        return requests.request(method, f"{self.url}/resend{path}", timeout=WITHIN, **options)

    def notion(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call Notion's API as a plain HTTP client."""
        options.setdefault("headers", NOTION)
        return requests.request(method, f"{self.url}/notion/v1{path}", timeout=WITHIN, **options)

    def notion_client(self, **options: Any) -> Any:
        """The real client of Notion's API, pointed at this sandbox, which never retries by default."""
        quiet = logging.getLogger("quiet notion-client")
        quiet.disabled = True
        usual = {"auth": "ntn_sandbox", "logger": quiet, "retry": False, "notion_version": NOTION["Notion-Version"]}
        usual["timeout_ms"] = WITHIN * 1000
        return Client(usual | {"base_url": f"{self.url}/notion"} | options)

    def seed(self, layout: str = "evergreen") -> dict[str, Any]:
        """Make a layout in Notion and give its ids."""
        made: dict[str, Any] = self.post("/notion/seed", {"layout": layout})
        return made


def stand_still(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the limits of the sandboxes in this process go by a clock that only the test moves: its one number, in
    seconds."""
    now = [1000.0]
    for api in (resend_api, notion_api, discord_api):
        monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    return now


def text(content: str) -> list[dict[str, Any]]:
    """Rich text as a program sends it to Notion."""
    return [{"text": {"content": content}}]


def row(notion: Any, source: str, name: str = "Jane", **properties: Any) -> Any:
    """Create a page in a data source with Notion's client; `Last_Error` stands for the property `Last Error`."""
    given = {key.replace("_", " "): value for key, value in properties.items()}
    return notion.pages.create(parent={"data_source_id": source}, properties={"Name": {"title": text(name)}} | given)


def wrong(call: Callable[..., Any], *arguments: Any, **options: Any) -> APIResponseError:
    """Call Notion's client, and give the error that it must raise."""
    with pytest.raises(APIResponseError) as caught:
        call(*arguments, **options)
    return caught.value


def point_sdk_at(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the resend SDK talk to a sandbox for the rest of a test."""
    monkeypatch.setattr(resend, "api_url", f"{running.url}/resend")
    monkeypatch.setattr(resend, "api_key", "re_sandbox")
    monkeypatch.setattr(resend, "default_http_client", RequestsClient(timeout=WITHIN))


def send(key: str | None = None, **changes: Any) -> str:
    """Send `EMAIL` with the SDK and give its id.

    Args:
        key: the idempotency key.
        changes: fields that differ.
    """
    params: Any = EMAIL | changes
    return resend.Emails.send(params, {"idempotency_key": key} if key else None)["id"]


def refused(key: str | None = None, **changes: Any) -> ResendError:
    """Send `EMAIL` with the SDK, and give the error that it must raise.

    Args:
        key: the idempotency key.
        changes: fields that differ.
    """
    with pytest.raises(ResendError) as caught:
        send(key, **changes)
    return caught.value


@contextmanager
def sandbox(
    clock: Callable[[], float] = time.time, rate: int | None = 10_000, webhook_url: str = "", webhook_secret: str = ""
) -> Iterator[Sandbox]:
    """Run the sandbox in a thread, its state in memory.

    Args:
        clock: the time in seconds since 1970.
        rate: Resend's and Notion's requests per second; None for the defaults.
        webhook_url: where Resend's events go.
        webhook_secret: the secret that signs them.
    """
    state = open_state(None, webhook_url, webhook_secret, clock)
    if rate:
        state.set_limits({"resend_per_second": rate, "notion_per_second": rate, "notion_search_lag_ms": 0})
    counted = _Counted(app.create(state))
    try:
        with serving(counted) as url:
            yield Sandbox(url, state, counted.at_work)
    finally:
        state.close()


@contextmanager
def sandbox_process(directory: Path) -> Iterator[tuple[Sandbox, subprocess.Popen[bytes]]]:
    """Run `python -m local.sandbox` on a free port; it is killed at the end if it still runs.

    Args:
        directory: its LOCAL_DIR.
    """
    with own_port() as port:
        variables = os.environ | {"SANDBOX_PORT": str(port), "LOCAL_DIR": str(directory)}
        process = subprocess.Popen(
            [sys.executable, "-m", "local.sandbox"], cwd=ROOT, env=variables, start_new_session=True
        )
        running = Sandbox(f"http://127.0.0.1:{port}")
        try:
            until(lambda: _answers(running))
            yield running, process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(running: Sandbox) -> bool:
    try:
        return "count" in running.get("/outbox/count")
    except requests.ConnectionError:
        return False


@dataclass
class Inbox:
    """Collects webhook events.

    Attributes:
        statuses: what to answer to the next requests; 200 when it is used up.
        events: the requests, each as its headers and its raw body.
    """

    statuses: list[int] = field(default_factory=list)
    events: queue.Queue[tuple[dict[str, str], bytes]] = field(default_factory=queue.Queue)

    def app(self) -> Flask:
        """The app that receives them at any path."""
        receiver = Flask("inbox", static_folder=None)

        @receiver.post("/")
        def receive() -> Response:
            self.events.put(({name.lower(): value for name, value in request.headers}, request.get_data()))
            return Response(status=self.statuses.pop(0) if self.statuses else 200)

        return receiver
