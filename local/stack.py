"""The local stack: its parts, where they listen, and the environment that connects them."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from local import ports, secrets, valkey
from local.ports import HOST
from local.supervisor import Part
from shared.core import settings
from shared.core.errors import SettingsError
from shared.core.stack_file import ROOT
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.migrations import waiting

GENERATED = (
    "REDIS_PASSWORD",
    "INTERNAL_TOKEN",
    "UNSUBSCRIBE_KEY",
    "OPERATOR_TOKEN",
    "CONSOLE_PASSWORD",
    "CALCOM_WEBHOOK_SECRET",
    "CALENDLY_SIGNING_KEY",
    "RESEND_WEBHOOK_SECRET",
)
LEFTOVERS_END_WITHIN = 5  # seconds
NOTION_DATABASES = {  # setting → its name in the sandbox
    "NOTION_BUSINESSX_DB_ID": "contacts",
    "NOTION_EMAIL_SEQUENCE_DB_ID": "tracker",
    "NOTION_EMAIL_LOG_DB_ID": "email_log",
    "NOTION_TEMPLATES_DB_ID": "templates",
}
PORTS = {"PORT": 8080, "SANDBOX_PORT": 8090, "VALKEY_PORT": 6390, "DASHBOARD_PORT": 9181, "METRICS_PORT": 9100}


@dataclass(frozen=True)
class Place:
    """The place of a stack; two stacks need separate values for everything."""

    directory: Path
    port: int
    sandbox_port: int
    valkey_port: int
    dashboard_port: int = PORTS["DASHBOARD_PORT"]
    metrics_port: int = PORTS["METRICS_PORT"]
    send_workers: int = 1

    @property
    def ports(self) -> tuple[int, ...]:
        """In the order of PORTS."""
        return (self.port, self.sandbox_port, self.valkey_port, self.dashboard_port, self.metrics_port)

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://{HOST}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Of the sandbox."""
        return f"http://{HOST}:{self.sandbox_port}"


def place(environ: Mapping[str, str]) -> Place:
    """The stack's place according to the environment: PORTS, LOCAL_DIR and SEND_WORKERS, each with a default.

    Args:
        environ: the environment.

    Raises:
        SettingsError: if a port is not a number between 1 and 65535, if two are the same, or if SEND_WORKERS is not
            between 1 and 9.
    """
    numbers = []
    for variable, default in PORTS.items():
        text = environ.get(variable) or str(default)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise SettingsError(
                f"{variable} is {text!r}, which is not a valid port. Write a number between 1 and 65535."
            )
        if int(text) in numbers:
            raise SettingsError(
                f"{variable} is {text}, which another part uses. Give each of {', '.join(PORTS)} a different port."
            )
        numbers.append(int(text))
    workers = environ.get("SEND_WORKERS") or "1"
    if workers not in map(str, range(1, 10)):
        raise SettingsError(f"SEND_WORKERS is {workers!r}. Write a number between 1 and 9.")
    return replace(Place(Path(environ.get("LOCAL_DIR") or ".local"), *numbers), send_workers=int(workers))


def refuse_ports_in_use(where: Place) -> None:
    """Report a taken port, before anything starts.

    Leftovers of a killed stack get a moment to end by themselves.

    Args:
        where: the stack's place.

    Raises:
        SettingsError: naming the first port in use, its variable and what to do.
    """
    patience = time.monotonic() + (LEFTOVERS_END_WITHIN if (where.directory / "pids.json").exists() else 0)
    for variable, port in zip(PORTS, where.ports, strict=True):
        while ports.in_use(port) and time.monotonic() < patience:
            time.sleep(0.05)
        if ports.in_use(port):
            another = next(other for other in range(port + 1, 65536) if not ports.in_use(other))
            raise SettingsError(
                f"port {port} ({variable}) is in use. Stop the program that uses it, or take another: "
                f"{variable}={another} make run"
            )


def environment(where: Place, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the parts, by precedence: this stack's wiring, the owner's settings, this stack's
    defaults.

    Without a Resend key the sandbox takes its place, and also Discord's if alerts have no other way to the owner. With
    a Resend key, TESTING_MODE is off unless it is set: no one gets seven real emails in half a minute by accident.

    Args:
        where: the stack's place.
        environ: the owner's settings.

    Raises:
        SettingsError: if a setting is invalid, or a real provider lacks what it needs.
    """

    def given(name: str) -> bool:
        return bool(environ.get(name) or environ.get(f"{name}_FILE"))

    sandbox = {
        "RESEND_API_URL": f"{where.sandbox_url}/resend",
        "RESEND_API_KEY": "re_sandbox",
        "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
        "POSTAL_ADDRESS": "1 Sample Street, Toronto ON, Canada",
        "SANDBOX_RESEND_WEBHOOK_URL": f"{where.url}/webhook/resend-events",
    }
    real = given("RESEND_API_KEY")
    notion = {
        "NOTION_TOKEN": "ntn_sandbox",
        "NOTION_API_URL": f"{where.sandbox_url}/notion",
        **{f"{setting}_FILE": str(_notion_file(where, setting)) for setting in NOTION_DATABASES},
    }
    defaults = {
        "PUBLIC_URL": where.url,
        "CORS_ORIGINS": f"{where.url},http://localhost:{where.port}",
        "TESTING_MODE": "false" if real else "true",
        "TESTING_STEP": "5s",
        "WEBHOOK_RATE_PER_IP": "1000/second",
        "WEBHOOK_RATE_PER_ADDRESS": "1000/hour",
        "DRAIN": "0s",
        "THREADS": "32",
        **({} if real else sandbox),
        **({} if given("ALERT_EMAIL") else {"DISCORD_WEBHOOK_URL": f"{where.sandbox_url}/discord/webhooks/1/sandbox"}),
        **({} if given("NOTION_TOKEN") else notion),
        **{name: secrets.kept(where.directory / "secrets", name) for name in GENERATED if not given(name)},
    }
    wiring = {
        "HOST": HOST,
        **dict(zip(PORTS, map(str, where.ports), strict=True)),
        "LOCAL_DIR": str(where.directory.resolve()),
        "REDIS_URL": f"redis://{HOST}:{where.valkey_port}/0",
        "SEND_FUNCTION_URL": f"{where.url}/function/send-email",
        "PYTHONUNBUFFERED": "1",
    }
    chosen = {**environ, **{name: value for name, value in defaults.items() if not given(name)}, **wiring}
    settings.load(chosen).require("resend_api_key", "resend_from_email", "postal_address")
    return chosen


def stages(where: Place, environ: Mapping[str, str]) -> list[list[Part]]:
    """The parts, in the order in which they start; they stop in reverse.

    Valkey's `answers` raises LedgerTooNew.

    Args:
        where: the stack's place.
        environ: from `environment`.
    """
    began = time.monotonic()
    password = settings.load(environ).redis_password
    store = where.directory / "valkey"

    def listens(port: int) -> bool:
        return _get(port, "/_/health") is not None

    def ticks() -> bool:
        health = json.loads(_get(where.port, "/health") or "{}")
        age = health.get("scheduler_age_ms")
        ticked = age is not None and age / 1000 < time.monotonic() - began  # an older tick is from the previous run
        return ticked and (not health.get("fenced") or waits_for_a_person())

    def waits_for_a_person() -> bool:
        with _ledger(where, password) as ledger:
            return "why" in FenceState(ledger).read()  # fixing it needs a running stack

    def opens() -> bool:
        try:
            with _ledger(where, password) as ledger:
                ledger.check_version()
        except redis.RedisError:
            return False
        return valkey.answers(where.valkey_port, password)

    def works(name: str) -> bool:
        return bool(json.loads(_get(where.port, "/health") or "{}").get(name))

    def python(name: str, answers: Callable[[], bool], *module: str, port: int | None = None) -> Part:
        return Part(name, [sys.executable, "-m", *module], answers, port, ROOT)

    valkey_argv = valkey.command(store, where.valkey_port, password)
    return [
        [Part("valkey", valkey_argv, opens, where.valkey_port, store)],
        [
            python(
                "sandbox",
                lambda: listens(where.sandbox_port) and _plant(where),
                "local.sandbox",
                port=where.sandbox_port,
            )
        ],
        [python("gateway", lambda: listens(where.port), "local.gateway", port=where.port)],
        [
            python("scheduler", ticks, "scheduler.release"),
            *(
                python(
                    f"worker-{number}" if number > 1 else "worker", lambda: works("workers"), "scheduler.worker", "send"
                )
                for number in range(1, where.send_workers + 1)
            ),
            python("recorder", lambda: works("recorders"), "scheduler.worker", "record"),
            python("notifier", lambda: works("notifiers"), "scheduler.worker", "notify"),
            python(
                "dashboard", lambda: listens(where.dashboard_port), "scheduler.dashboard", port=where.dashboard_port
            ),
        ],
    ]


def troubles(where: Place) -> list[str]:
    """The problems of a running stack, in the words of its health.

    Args:
        where: the stack's place.
    """
    return list(json.loads(_get(where.port, "/health") or "{}").get("reasons", []))


def waits_for_migration(where: Place, password: str) -> bool:
    """Whether an older release's ledger needs a migration, or a migration was interrupted; False if Valkey does not
    respond.

    Args:
        where: the stack's place.
        password: its Valkey's.
    """
    try:
        with _ledger(where, password) as ledger:
            return bool(waiting(ledger))
    except redis.RedisError:
        return False


@contextmanager
def _ledger(where: Place, password: str) -> Iterator[Ledger]:
    with redis.Redis(HOST, where.valkey_port, password=password, decode_responses=True) as client:
        yield Ledger(client)


def _notion_file(where: Place, setting: str) -> Path:
    """The file for the id of a database that only the sandbox knows; empty until the sandbox runs."""
    file = (where.directory / "notion" / setting.lower()).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def _plant(where: Place) -> bool:
    """Set up the sandbox's Notion like an owner's, and store the ids for the parts that start after it."""
    connection = http.client.HTTPConnection(HOST, where.sandbox_port, timeout=5)
    try:
        connection.request(
            "POST", "/notion/seed", json.dumps({"layout": "evergreen"}), {"Content-Type": "application/json"}
        )
        made = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    for setting, name in NOTION_DATABASES.items():
        _notion_file(where, setting).write_text(made[name]["database_id"])
    return True


def _get(port: int, path: str) -> str | None:
    """The body of a response with any status; None if there is no response."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
