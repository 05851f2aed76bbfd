"""A Redis behind TLS or a Unix socket, with a password of odd characters: every program takes the same address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from local import valkey
from local.ports import free
from shared.core.stack_file import ROOT
from tests.support.tls_server import in_front_of
from tests.support.waiting import WITHIN, until

PASSWORD = "8f#3b@1d%6c/4e?9a"
PROGRAMS = ("release", "worker send", "worker record", "worker notify", "dashboard")


@contextmanager
def door(kind: str, port: int, certificate: Path, directory: Path) -> Iterator[str]:
    """Another way to a Redis; yields its address."""
    if kind == "tls":
        with in_front_of(port, certificate=certificate) as own:
            yield f"rediss://:{quote(PASSWORD, '')}@127.0.0.1:{own}/1?ssl_ca_certs={certificate / 'cert.pem'}"
    else:
        with in_front_of(port, path=directory / "redis.sock"):
            yield f"unix://:{quote(PASSWORD, '')}@{directory / 'redis.sock'}?db=1"


def environ_of(url: str) -> dict[str, str]:
    """The settings of every program."""
    return {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "REDIS_URL": url,
        "INTERNAL_TOKEN": "3f8e1c5a9d7b0c2e4f6a",
        "CONSOLE_PASSWORD": "a console of one's own",
        "HOST": "127.0.0.1",
        "DASHBOARD_PORT": str(free(1)[0]),
        "METRICS_PORT": "0",
    }


def command_of(program: str) -> list[str]:
    """How it is started."""
    return [sys.executable, "-m", *f"scheduler.{program}".split()]


@pytest.mark.parametrize("kind", ["tls", "socket"])
def test_every_program_takes_it(kind: str, certificate: Path, tmp_path: Path) -> None:
    """Scheduler, workers, dashboard and doctor are at work in database 1."""
    with valkey.serve(tmp_path, password=PASSWORD) as server, ExitStack() as parts:
        url = parts.enter_context(door(kind, server.port, certificate, tmp_path))
        environ = environ_of(url)
        for program in PROGRAMS:
            process = parts.enter_context(subprocess.Popen(command_of(program), cwd=ROOT, env=environ))
            parts.callback(process.terminate)

        def working() -> bool:
            said = subprocess.run(
                [sys.executable, "evergreen", "doctor", "--json"],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                timeout=WITHIN,
            )
            findings = {finding["about"]: finding["level"] for finding in json.loads(said.stdout)}
            return (findings["scheduler"], findings["worker send"], findings["Redis"]) == ("ok", "ok", "ok")

        until(working)
        page = f"http://127.0.0.1:{environ['DASHBOARD_PORT']}/0/data/workers.json"
        shown = requests.get(page, auth=("evergreen", environ["CONSOLE_PASSWORD"]), timeout=WITHIN).json()
        assert {queue for worker in shown["workers"] for queue in worker["queues"]} == {"send", "record", "notify"}


@pytest.mark.parametrize("program", ["release", "worker send", "worker notify"])
@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://:7c1e9a@127.0.0.1:{port}/0", "refuses the password"),
        ("redis://127.0.0.1:1/0", "does not answer"),
        ("redis://:{password}@127.0.0.1:{port}/99", "has no database with that number"),
    ],
)
def test_every_program_says_why_it_waits(program: str, url: str, what: str, valkey_server: valkey.Valkey) -> None:
    """In its log, in a sentence; it does not end, and no traceback shows what is secret."""
    environ = environ_of(url.format(port=valkey_server.port, password=valkey_server.password))
    with subprocess.Popen(command_of(program), cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = next(line for line in process.stderr if "redis.unavailable" in line)
        process.terminate()
        said += process.stderr.read()
    assert f"Redis {what}; " in said and process.returncode <= 0
    assert "Traceback" not in said and "7c1e9a" not in said and valkey_server.password not in said


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_refuses_what_it_does_not_know(program: str) -> None:
    """An option that the client does not have: one line, and exit status 1."""
    environ = environ_of("redis://127.0.0.1:6379/0?retries=3")
    ended = subprocess.run(command_of(program), cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "REDIS_URL: has an option that is unknown, or a wrong value for one: retries" in ended.stderr
