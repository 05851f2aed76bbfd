"""The local stack as a person meets it: one command, real processes, and a finished job."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import redis
import requests
from standardwebhooks.webhooks import Webhook

from local import parts, stack, valkey, welcome
from local.trial import Trial, environ_for, running, start
from shared.core import settings
from shared.core.errors import SettingsError
from shared.core.stack_file import ROOT
from shared.ledger.migrations import older
from tests.support.waiting import WITHIN, gone, until

PARTS = ("valkey", "sandbox", "gateway", "scheduler", "worker", "recorder", "notifier", "dashboard")
SIGN_UP = {"email": "sarah@example.org", "first_name": "Sarah", "red_systems": 2}


def is_back(run: Trial, name: str, before: int) -> bool:
    """Whether another process has taken a part's place, and the stack is healthy."""
    return run.pids()[name] != before and run.healthy()


def refused(environ: Mapping[str, str]) -> str:
    """The error of a stack that must not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "local"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN
    )
    assert ended.returncode == 1
    return ended.stderr


def limit_files(pids: Iterable[int], size: int) -> None:
    """Let the files of processes, and of those that they start, grow to this size and no further."""
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class TestWholeStack:
    """All parts together."""

    def test_a_sign_up_becomes_seven_emails_even_across_a_restart(self, tmp_path: Path) -> None:
        """One request, and every email arrives once; what was scheduled survives a stop and a start."""
        environ = environ_for(tmp_path, TESTING_STEP="1s")
        with start(environ) as run:
            assert "webhook/christmas-signup" in requests.get(run.url, timeout=WITHIN).text
            assert run.sign_up(SIGN_UP) == 202
            until(lambda: run.outbox_count() >= 2)
        with start(environ) as run:
            until(lambda: run.outbox_count() >= 7)
            until(run.healthy)
            assert len(set(run.email_ids())) == len(run.email_ids()) == 7
            assert {tuple(email["to"]) for email in run.outbox()} == {("sarah@example.org",)}

    @pytest.mark.parametrize("ask", [signal.SIGINT, signal.SIGTERM])
    def test_it_stops_cleanly(self, tmp_path: Path, ask: signal.Signals) -> None:
        """Ctrl-C and SIGTERM end with status 0 and leave no process behind."""
        with running(tmp_path) as run:
            pids = run.pids()
            run.process.send_signal(ask)
            assert run.process.wait(WITHIN) == 0
            assert all(gone(pid) for pid in pids.values())

    def test_killed_parts_are_restarted(self, tmp_path: Path) -> None:
        """Each part in turn is killed, is reported to have ended, and has a new process without a pause; then the job
        still works."""
        with running(tmp_path) as run:
            for name in PARTS:
                before = run.pids()[name]
                os.kill(before, signal.SIGKILL)
                assert "restarting it." in run.line_with(f"{name} ended (SIGKILL)")
                until(partial(is_back, run, name, before))
            assert run.sign_up(SIGN_UP) == 202
            until(lambda: run.outbox_count() == 1)

    def test_a_stack_whose_supervisor_was_killed_starts_again(self, tmp_path: Path) -> None:
        """Nothing of the old stack stays: the next one gets its ports and its data at once."""
        environ = environ_for(tmp_path)
        with start(environ) as killed:
            pids = killed.pids()
            killed.process.kill()
            killed.process.wait()
            with start(environ) as run:
                until(run.healthy)
            assert all(gone(pid) for pid in pids.values())

    def test_the_internal_function_is_hidden_and_the_command_line_finds_the_stack(self, tmp_path: Path) -> None:
        """Only a worker reaches send-email; `evergreen` needs no settings to reach this stack."""
        with running(tmp_path) as run:
            assert requests.post(f"{run.url}/webhook/send-email", json={}, timeout=WITHIN).status_code == 404
            assert requests.post(f"{run.url}/function/send-email", json={}, timeout=WITHIN).status_code == 401
            environ = {
                name: value
                for name, value in os.environ.items()
                if name.lower() not in settings.Settings.model_fields and name != "ENV_FILE"
            }
            until(run.healthy)  # Notion has answered, so the fence holds
            command = [sys.executable, "evergreen", "fence", "--json"]
            said = subprocess.run(
                command,
                cwd=ROOT,
                env=environ | {"LOCAL_DIR": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=WITHIN,
            )
            assert said.returncode == 0, f"the command line finds the stack by itself: {said.stderr}"
            assert (tmp_path / "settings.env").stat().st_mode & 0o077 == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit the files of another process")
    def test_a_full_disk_is_survived(self, tmp_path: Path) -> None:
        """Parts end and come back until there is room, which is said once; then everything goes on."""
        with running(tmp_path) as run:
            limit_files(run.pids().values(), 0)
            os.kill(run.pids()["valkey"], signal.SIGKILL)
            assert "Make room" in run.line_with(f"{tmp_path} cannot be written")
            until(lambda: run.sign_up(SIGN_UP) == 503)
            os.kill(run.pids()["worker"], signal.SIGKILL)
            run.line_with("worker ended")
            limit_files(run.pids().values(), resource.RLIM_INFINITY)
            run.line_with(f"{tmp_path} can be written again")
            until(run.healthy)
            assert run.sign_up(SIGN_UP) == 202
            until(lambda: run.outbox_count() >= 1)

    def test_two_stacks_do_not_share_a_directory(self, tmp_path: Path) -> None:
        """A second stack in the same directory says what to do and leaves the first alone."""
        with running(tmp_path) as run:
            assert "LOCAL_DIR=" in refused(environ_for(tmp_path))
            until(run.healthy)


NEXT_RELEASE = """
from shared.ledger import migrations, version
version.VERSION = 2
migrations.MIGRATIONS = (migrations.Migration(2, "made up", lambda ledger, cursor: (0, 0)),)
"""


def test_a_newer_release_asks_for_its_migration_and_then_this_one_refuses(tmp_path: Path) -> None:
    """Migrations are not mentioned when there are none.

    Each refusal is one sentence, before any part but Valkey starts."""
    environ = environ_for(tmp_path)
    with start(environ) as run:
        said = list(iter(lambda: run.line_with(""), "Ctrl-C stops it; scheduled emails are kept."))
        assert not [line for line in said if "migrat" in line]
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "sitecustomize.py").write_text(NEXT_RELEASE)
    newer = environ | {"PYTHONPATH": f"{tmp_path / 'next'}:{ROOT}"}
    with start(newer) as run:
        assert "needs a migration" in run.line_with("./evergreen migrate")
        until(
            lambda: not older(run.ledger(), 2)
        )  # the heartbeat of the scheduler before lasts for a quarter of a minute
        migrate = [sys.executable, "evergreen", "migrate", "--yes"]
        settings_of = newer | {"ENV_FILE": str(tmp_path / "settings.env")}
        done = subprocess.run(migrate, cwd=ROOT, env=settings_of, capture_output=True, text=True, timeout=WITHIN)
        assert done.returncode == 0 and done.stdout.endswith("The ledger has version 2.\n"), done.stderr
    refusal = refused(environ)
    assert refusal.startswith("Evergreen cannot start: the ledger has version 2, and this program reads up to 1; run ")
    assert refusal.count("\n") == 1


def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path) -> None:
    """It names the port, the variable and a port that is free; nothing starts."""
    environ = environ_for(tmp_path)
    port = environ["SANDBOX_PORT"]
    with socket.create_server(("127.0.0.1", int(port))):
        said = refused(environ)
    assert said.startswith(f"Evergreen cannot start: port {port} (SANDBOX_PORT) is in use. ")
    assert "take another: SANDBOX_PORT=" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "logs").exists()


def test_the_printed_request_is_the_one_in_the_readme() -> None:
    """What the stack prints at its start is what the README tells people to type."""
    assert welcome.curl("localhost:8080") in (ROOT / "README.md").read_text(encoding="utf-8")


class TestEnvironment:
    """What the parts are given."""

    @pytest.fixture
    def where(self, tmp_path: Path) -> stack.Place:
        """A place for a stack that is not started."""
        return stack.place({"LOCAL_DIR": str(tmp_path), "PORT": "18080", "SANDBOX_PORT": "18090"})

    def test_the_number_of_workers_can_be_set(self, where: stack.Place) -> None:
        """Each is a part with its own name; an invalid number of workers is refused."""
        more = stack.place({"LOCAL_DIR": str(where.directory), "SEND_WORKERS": "3"})
        names = [part.name for stage in parts.stages(more, stack.environment(more, {})) for part in stage]
        assert [name for name in names if name.startswith("worker")] == ["worker", "worker-2", "worker-3"]
        with pytest.raises(SettingsError, match="SEND_WORKERS is '0'"):
            stack.place({"SEND_WORKERS": "0"})

    def test_without_keys_it_is_complete(self, where: stack.Place) -> None:
        """The sandbox stands in for Resend, and testing mode is on."""
        chosen = settings.load(stack.environment(where, {}))
        assert chosen.resend_api_url == "http://127.0.0.1:18090/resend"
        assert chosen.send_function_url == "http://127.0.0.1:18080/function/send-email"
        assert (chosen.testing_mode, chosen.testing_step) == (True, 5)
        chosen.require(
            "resend_api_key", "resend_from_email", "postal_address", *(name.lower() for name in stack.GENERATED)
        )

    def test_alerts_go_to_the_sandbox_unless_another_channel_is_set(self, where: stack.Place) -> None:
        """Without a channel and an address, alerts are posted to the sandbox's Discord; an address of the owner's is
        used."""

        def webhook(**owner: str) -> str:
            return settings.load(stack.environment(where, owner)).discord_webhook_url

        assert webhook() == "http://127.0.0.1:18090/discord/webhooks/1/sandbox"
        assert webhook(DISCORD_WEBHOOK_URL="https://discord.example.org/1") == "https://discord.example.org/1"
        assert webhook(ALERT_EMAIL="owner@example.org") == ""

    def test_the_sandbox_posts_resends_events(self, where: stack.Place) -> None:
        """It posts Resend's events to the stack, signed with a secret of the form that the function wants."""
        chosen = stack.environment(where, {})
        assert chosen["SANDBOX_RESEND_WEBHOOK_URL"] == "http://127.0.0.1:18080/webhook/resend-events"
        Webhook(chosen["RESEND_WEBHOOK_SECRET"])

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

    def test_the_owners_settings_override_defaults_but_not_the_wiring(self, where: stack.Place) -> None:
        """A production setting, such as its Redis, does not divert the local stack."""
        chosen = stack.environment(
            where,
            {
                "THREADS": "3",
                "REDIS_URL": "redis://production",
                "REDIS_URL_FILE": "/production",
                "INTERNAL_TOKEN": "internal-8f3b1d6c4e",
            },
        )
        assert (chosen["THREADS"], chosen["INTERNAL_TOKEN"]) == ("3", "internal-8f3b1d6c4e")
        assert chosen["REDIS_URL"] == "redis://127.0.0.1:6390/0" and "REDIS_URL_FILE" not in chosen

    def test_generated_secrets_are_kept_and_private(self, where: stack.Place) -> None:
        """The same secrets come back at the next start, from files that no one else can read."""
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
        """An impossible port is named before anything starts."""
        with pytest.raises(SettingsError, match=says):
            stack.place(environ)


class TestValkey:
    """The embedded store."""

    def test_it_is_configured_as_in_production(self, tmp_path: Path) -> None:
        """What is answered is on disk, nothing is evicted, and no one gets in without the password."""
        with valkey.serve(tmp_path / "a folder", password='a "quoted\\ one') as store:
            with redis.Redis.from_url(store.url, password=store.password) as client:
                for name, value in {
                    "appendfsync": "always",
                    "maxmemory-policy": "noeviction",
                    "hash-max-listpack-value": "128",
                }.items():
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
