"""The Caddyfile that docs/deploy.md prints, in Debian's Caddy, before a real server."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from shared.core.stack_file import ROOT
from tests.support.own_port import own_port
from tests.support.served import get, served
from tests.support.waiting import WITHIN, until

pytestmark = pytest.mark.skipif(not shutil.which("caddy"), reason="Caddy is not installed: sudo apt-get install caddy")
ECHO = """
def handle(request):
    return {"path": request.path, "from": request.headers.get("X-Forwarded-For"), "length": len(request.get_data())}
"""


def documented() -> str:
    """The only block of the page that configures a proxy."""
    page = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```\w*\n(.*?)^```$", page, re.M | re.S) if "reverse_proxy" in block]
    return str(block)


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Caddy that forwards to a function; without TLS, which needs a name and the internet."""
    place = tmp_path_factory.mktemp("caddy")
    with served(place, ECHO) as (_, upstream), own_port() as port:
        file = documented().replace("hooks.example.org {", f"http://127.0.0.1:{port} {{")
        file = file.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}").replace("{\n", "{\n    admin off\n", 1)
        (place / "Caddyfile").write_text(file)
        process = subprocess.Popen(
            ["caddy", "run", "--config", str(place / "Caddyfile"), "--adapter", "caddyfile"],
            env={**os.environ, "HOME": str(place), "XDG_CONFIG_HOME": str(place), "XDG_DATA_HOME": str(place)},
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: get(port, "/health") is not None)
            yield port
        finally:
            process.kill()
            process.wait()


def asked(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    connection.request("POST" if body else "GET", path, body, {key.replace("_", "-"): headers[key] for key in headers})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "path",
    ["/webhook/signup", "/unsubscribe?token=t", "/unsubscribe/", "/confirm?token=t", "/console", "/console/api/x",
     "/health"],
)  # fmt: skip
def test_what_is_public_arrives(caddy: int, path: str) -> None:
    """With its whole path."""
    status, body = asked(caddy, path)
    assert (status, json.loads(body)["path"]) == (200, path.partition("?")[0])


@pytest.mark.parametrize(
    "path",
    ["/", "/function/send-email", "/function/signup", "/_/ready", "/_/health", "/unsubscribed", "/confirmed",
     "/healthy", "/webhook/../function/send-email", "/webhook/%2e%2e/function/send-email", "//function/send-email",
     "/metrics"],
)  # fmt: skip
def test_what_is_not_public_is_a_404(caddy: int, path: str) -> None:
    """From Caddy itself: it answers with nothing."""
    assert asked(caddy, path) == (404, b"")


def test_the_visitor_is_whom_caddy_sees(caddy: int) -> None:
    """What a visitor writes into the header does not arrive."""
    _, body = asked(caddy, "/health", X_Forwarded_For="192.0.2.66, 203.0.113.9")
    assert json.loads(body)["from"] == "127.0.0.1"


def test_a_body_far_over_the_limit_is_refused(caddy: int) -> None:
    """What the functions take, and what they refuse themselves, passes."""
    assert asked(caddy, "/webhook/signup", b"x" * 65_537)[0] == 200
    assert asked(caddy, "/webhook/signup", b"x" * 300_000)[0] != 200


@pytest.mark.parametrize(
    "sends",
    [
        b"POST /webhook/signup HTTP/1.1\r\nHost: a\r\n",
        b"POST /webhook/signup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 600\r\n\r\n{",
    ],
)
def test_a_request_that_drips_is_given_up(caddy: int, sends: bytes) -> None:
    """The connection ends although a byte arrives each second."""
    with socket.create_connection(("127.0.0.1", caddy), timeout=WITHIN) as caller:
        caller.sendall(sends)
        for _ in range(60):
            if select.select([caller], [], [], 1)[0]:
                return
            caller.sendall(b"x")
    raise AssertionError("it took all of it")
