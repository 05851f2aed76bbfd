"""The local stack as a person meets it: one command, real processes, and the job done."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from local import ports, stack, valkey
from shared import settings
from shared.errors import SettingsError
from shared.functions import ROOT
from tests.waiting import WITHIN, gone, until

PARTS = ("valkey", "sandbox", "gateway", "scheduler", "worker")
SIGN_UP = {"email": "sarah@example.org", "first_name": "Sarah", "red_systems": 2}


def environ_for(directory: Path) -> dict[str, str]:
    """The environment of a stack of its own: free ports, its own directory, and nothing of the owner's settings."""
    own = {name: value for name, value in os.environ.items() if name.lower() not in settings.Settings.model_fields}
    chosen = dict(zip(stack.PORTS, map(str, ports.free(len(stack.PORTS))), strict=True))
    return {**own, **chosen, "ENV_FILE": os.devnull, "LOCAL_DIR": str(directory)}


class Stack:
    """`python -m local` as a process, and the lines that it says."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.directory = Path(environ["LOCAL_DIR"])
        self.url = f"http://127.0.0.1:{environ['PORT']}"
        self.sandbox_url = f"http://127.0.0.1:{environ['SANDBOX_PORT']}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"], cwd=ROOT, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line_with(self, text: str, within: float = 60) -> str:
        """Wait for a line that holds a text."""
        deadline = time.monotonic() + within
        while True:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if text in line:
                return line

    def pids(self) -> dict[str, int]:
        """The process id of every part."""
        return {name: entry["pid"] for name, entry in json.loads((self.directory / "pids.json").read_text()).items()}

    def outbox(self) -> list[dict[str, Any]]:
        """Every email that the sandbox accepted."""
        emails: list[dict[str, Any]] = requests.get(f"{self.sandbox_url}/outbox.json", timeout=WITHIN).json()
        return emails

    def healthy(self) -> bool:
        """Whether the health function finds nothing wrong."""
        try:
            return requests.get(f"{self.url}/health", timeout=WITHIN).status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def running(environ: Mapping[str, str]) -> Iterator[Stack]:
    """A stack that is ready; asked to stop at the end, and every part must be gone then."""
    run = Stack(environ)
    try:
        run.line_with("Evergreen is ready")
        yield run
        pids = run.pids()
        run.process.terminate()
        assert run.process.wait(60) == 0
        assert all(gone(pid) for pid in pids.values())
    finally:
        run.process.kill()
        run.process.wait()


class TestWholeStack:
    """All parts together."""

    def test_a_sign_up_becomes_seven_emails_also_across_a_restart(self, tmp_path: Path) -> None:
        """One request, and every email arrives once; what was scheduled survives a stop and a start."""
        environ = environ_for(tmp_path) | {"TESTING_STEP": "1s"}
        with running(environ) as run:
            assert requests.get(run.url, timeout=WITHIN).status_code == 200
            answer = requests.post(f"{run.url}/webhook/christmas-signup", json=SIGN_UP, timeout=WITHIN)
            assert answer.status_code == 202
            until(lambda: len(run.outbox()) >= 2)
        with running(environ) as run:
            until(lambda: len(run.outbox()) >= 7, within=60)
            until(run.healthy)
            emails = run.outbox()
        assert len({email["idempotency_key"] for email in emails}) == len(emails) == 7
        assert {tuple(email["to"]) for email in emails} == {("sarah@example.org",)}

    def test_killed_parts_come_back_and_ctrl_c_stops_cleanly(self, tmp_path: Path) -> None:
        """Each part in turn is killed, is said to have ended, and has a new process within a second; then the job still works."""
        environ = environ_for(tmp_path)
        run = Stack(environ)
        try:
            run.line_with("Evergreen is ready")
            for name in PARTS:
                before = run.pids()[name]
                killed = time.monotonic()
                os.kill(before, signal.SIGKILL)
                assert "starting it again." in run.line_with(f"{name} ended (SIGKILL)", within=WITHIN)
                until(lambda name=name, before=before: run.pids()[name] != before)  # type: ignore[misc]  # mypy cannot infer these lambdas
                assert time.monotonic() - killed < 1
                until(run.healthy)
            assert requests.post(f"{run.url}/webhook/christmas-signup", json=SIGN_UP, timeout=WITHIN).status_code == 202
            until(lambda: len(run.outbox()) == 1)
            pids = run.pids()
            run.process.send_signal(signal.SIGINT)
            assert run.process.wait(60) == 0
            assert all(gone(pid) for pid in pids.values())
        finally:
            run.process.kill()
            run.process.wait()

    def test_a_stack_whose_supervisor_was_killed_starts_again(self, tmp_path: Path) -> None:
        """Nothing of the old stack stays: the next one gets its ports and its data at once."""
        environ = environ_for(tmp_path)
        killed = Stack(environ)
        killed.line_with("Evergreen is ready")
        pids = killed.pids()
        killed.process.kill()
        killed.process.wait()
        with running(environ) as run:
            assert run.healthy()
        assert all(gone(pid) for pid in pids.values())

    def test_the_internal_function_has_no_public_url(self, tmp_path: Path) -> None:
        """Only a worker reaches send-email: there is no webhook of that name, and the function wants the token."""
        with running(environ_for(tmp_path)) as run:
            assert requests.post(f"{run.url}/webhook/send-email", json={}, timeout=WITHIN).status_code == 404
            assert requests.post(f"{run.url}/function/send-email", json={}, timeout=WITHIN).status_code == 401

    def test_two_stacks_do_not_share_a_directory(self, tmp_path: Path) -> None:
        """A second stack in the same directory says what to do and leaves the first alone."""
        with running(environ_for(tmp_path)) as run:
            second = subprocess.run(
                [sys.executable, "-m", "local"], cwd=ROOT, env=environ_for(tmp_path), capture_output=True, text=True, timeout=60
            )
            assert (second.returncode, "LOCAL_DIR=" in second.stderr) == (1, True)
            assert run.healthy()


def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path) -> None:
    """It names the port, the variable and a port that is free; nothing starts."""
    environ = environ_for(tmp_path)
    with socket.create_server(("127.0.0.1", int(environ["SANDBOX_PORT"]))):
        ended = subprocess.run([sys.executable, "-m", "local"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Evergreen cannot start: port {environ['SANDBOX_PORT']} (SANDBOX_PORT) is in use. ")
    assert "SANDBOX_PORT=" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "logs").exists()


class TestEnvironment:
    """What the parts are given."""

    @pytest.fixture
    def where(self, tmp_path: Path) -> stack.Place:
        """A place for a stack that is not started."""
        return stack.place({"LOCAL_DIR": str(tmp_path), "PORT": "18080", "SANDBOX_PORT": "18090"})

    def test_without_keys_it_is_complete(self, where: stack.Place) -> None:
        """The sandbox stands in for Resend, and testing mode is on."""
        chosen = settings.load(stack.environment(where, {}))
        assert chosen.resend_api_url == "http://127.0.0.1:18090/resend"
        assert chosen.send_function_url == "http://127.0.0.1:18080/function/send-email"
        assert (chosen.testing_mode, chosen.testing_step) == (True, 5)
        chosen.require("resend_api_key", "resend_from_email", "postal_address", "redis_password", "internal_token", "unsubscribe_key")

    def test_with_a_real_key_testing_mode_is_off(self, where: stack.Place) -> None:
        """Real people get real intervals unless the owner says otherwise."""
        owner = {"RESEND_API_KEY": "re_real", "RESEND_FROM_EMAIL": "a@example.org", "POSTAL_ADDRESS": "1 Sample Street"}
        chosen = settings.load(stack.environment(where, owner))
        assert (chosen.testing_mode, chosen.resend_api_url) == (False, "https://api.resend.com")
        assert settings.load(stack.environment(where, owner | {"TESTING_MODE": "true"})).testing_mode

    def test_a_real_key_needs_a_sender(self, where: stack.Place) -> None:
        """A sample address at the real provider would be refused email by email; it is refused here, by name."""
        with pytest.raises(SettingsError, match="RESEND_FROM_EMAIL, POSTAL_ADDRESS"):
            stack.environment(where, {"RESEND_API_KEY": "re_real"})

    def test_the_owner_wins_over_a_default_but_not_over_the_wiring(self, where: stack.Place) -> None:
        """A setting of production, such as its Redis, does not lead the local stack away."""
        chosen = stack.environment(where, {"THREADS": "3", "REDIS_URL": "redis://production", "INTERNAL_TOKEN": "mine"})
        assert (chosen["THREADS"], chosen["INTERNAL_TOKEN"]) == ("3", "mine")
        assert chosen["REDIS_URL"] == "redis://127.0.0.1:6390/0"

    def test_generated_secrets_are_kept_and_private(self, where: stack.Place) -> None:
        """The same secrets come back at the next start, from files that nobody else can read."""
        first, second = (stack.environment(where, {}) for _ in range(2))
        for name in stack.GENERATED:
            assert first[name] == second[name]
            assert len(first[name]) >= 32
            mode = (where.directory / "secrets" / name.lower().replace("_", "-")).stat().st_mode
            assert stat.S_IMODE(mode) == 0o600

    @pytest.mark.parametrize(
        ("environ", "says"),
        [
            ({"PORT": "http"}, "PORT is 'http'"),
            ({"VALKEY_PORT": "0"}, "VALKEY_PORT is '0'"),
            ({"SANDBOX_PORT": "8080"}, "another part uses"),
        ],
    )
    def test_a_wrong_port_is_explained(self, environ: dict[str, str], says: str) -> None:
        """A port that cannot be is named before anything starts."""
        with pytest.raises(SettingsError, match=says):
            stack.place(environ)


class TestValkey:
    """The embedded store."""

    def test_it_is_configured_as_in_production(self, tmp_path: Path) -> None:
        """What is answered is on disk, nothing is evicted, and nobody gets in without the password."""
        with valkey.serve(tmp_path / "a folder", password='a "quoted\\ one') as store:
            with redis.Redis.from_url(store.url, password=store.password) as client:
                for name, value in {"appendfsync": "always", "maxmemory-policy": "noeviction", "hash-max-listpack-value": "128"}.items():
                    assert client.config_get(name) == {name: value}
            with redis.Redis.from_url(store.url) as stranger, pytest.raises(redis.AuthenticationError):
                stranger.ping()

    def test_what_it_holds_survives_kill_9(self, tmp_path: Path) -> None:
        """A write that was answered is there again after the process was killed."""
        for expected in (1, 2, 3):
            with valkey.serve(tmp_path) as store, redis.Redis.from_url(store.url) as client:
                assert client.incr("count") == expected
                store.process.kill()

    def test_a_start_that_fails_shows_the_log(self, tmp_path: Path) -> None:
        """A taken port is in the error."""
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(TimeoutError, match="Address already in use"),
            valkey.serve(tmp_path, port=taken.getsockname()[1]),
        ):
            pass
