"""The local stack: where its parts listen, and the environment that connects them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from local import ports, sandbox_notion, secrets
from local.ports import HOST
from shared.core import settings
from shared.core.errors import SettingsError

GENERATED = (
    "REDIS_PASSWORD",
    "INTERNAL_TOKEN",
    "UNSUBSCRIBE_KEY",
    "OPERATOR_TOKEN",
    "CONSOLE_PASSWORD",
    "CALCOM_WEBHOOK_SECRET",
    "CALENDLY_SIGNING_KEY",
    "RESEND_WEBHOOK_SECRET",
    "CHALLENGE_KEY",
)
LEFTOVERS_END_WITHIN = 5  # seconds
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

    defaults = {
        "PUBLIC_URL": where.url,
        "CORS_ORIGINS": f"{where.url},http://localhost:{where.port}",
        "TESTING_MODE": "false" if given("RESEND_API_KEY") else "true",
        "TESTING_STEP": "5s",
        "WEBHOOK_RATE_PER_IP": "10000/second",
        "WEBHOOK_RATE_PER_ADDRESS": "5000/hour",
        "SIGNUPS_PER_HOUR": "0",
        "SIGNUPS_PER_DAY": "0",
        "DRAIN": "0s",
        "THREADS": "32",
        **_sandboxed(where, given),
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
    owner = {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in wiring}
    chosen = {**owner, **{name: value for name, value in defaults.items() if not given(name)}, **wiring}
    settings.load(chosen).require("resend_api_key", "resend_from_email", "postal_address")
    return chosen


def _sandboxed(where: Place, given: Callable[[str], bool]) -> dict[str, str]:
    """The settings that let the sandbox take the place of each provider without a key."""
    chosen: dict[str, str] = {}
    if not given("RESEND_API_KEY"):
        chosen |= {
            "RESEND_API_URL": f"{where.sandbox_url}/resend",
            "RESEND_API_KEY": "re_sandbox",
            "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
            "POSTAL_ADDRESS": "1 Sample Street, Toronto ON, Canada",
            "SANDBOX_RESEND_WEBHOOK_URL": f"{where.url}/webhook/resend-events",
        }
    if not given("ALERT_EMAIL"):
        chosen["DISCORD_WEBHOOK_URL"] = f"{where.sandbox_url}/discord/webhooks/1/sandbox"
    if not given("NOTION_TOKEN"):
        chosen |= sandbox_notion.settings(where.directory, where.sandbox_url)
    return chosen
