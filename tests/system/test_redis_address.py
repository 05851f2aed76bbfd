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


@pytest.mark.parametrize("kind", ["tls", "socket"])
def test_every_program_takes_it(kind: str, certificate: Path, tmp_path: Path) -> None:
    """Scheduler, workers, dashboard and doctor are at work in database 1."""
    with valkey.serve(tmp_path, password=PASSWORD) as server, ExitStack() as parts:
        url = parts.enter_context(door(kind, server.port, certificate, tmp_path))
        environ = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "REDIS_URL": url,
            "INTERNAL_TOKEN": "3f8e1c5a9d7b0c2e4f6a",
            "CONSOLE_PASSWORD": "a console of one's own",
            "HOST": "127.0.0.1",
            "DASHBOARD_PORT": str(free(1)[0]),
            "METRICS_PORT": "0",
        }
        for program in PROGRAMS:
            command = [sys.executable, "-m", *f"scheduler.{program}".split()]
            process = parts.enter_context(subprocess.Popen(command, cwd=ROOT, env=environ))
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
