"""Every setting of Evergreen: one field each, read from a secret file, `NAME_FILE` or the environment, in that
order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from shared.core import faults
from shared.core.errors import SettingsError
from shared.core.secret_strength import Password, SigningKey, Token, WebhookSecret, refuse_weak
from shared.core.value_types import (
    Address,
    Duration,
    LogLevel,
    Networks,
    Pairs,
    Rate,
    RedisUrl,
    TimeZone,
    Words,
)

SECRETS_DIR = Path("/var/openfaas/secrets")
# Secrets that prove something. While one is replaced, NAME_PREVIOUS holds the old value, which is accepted too.
PAIRS = (
    "internal_token",
    "unsubscribe_key",
    "website_webhook_secret",
    "resend_webhook_secret",
    "calcom_webhook_secret",
    "calendly_signing_key",
    "operator_token",
)


class Settings(BaseModel):
    """What an owner can set.

    The environment variable is the field's name in capitals; `.env.example` says what each one is for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    redis_url: RedisUrl = "redis://127.0.0.1:6379/0"
    redis_password: str = ""

    resend_api_key: str = ""
    resend_api_url: Address = "https://api.resend.com"
    resend_from_email: str = ""
    resend_reply_to: str = ""
    resend_rate: float = Field(default=0, ge=0)
    resend_batch_above: int = Field(default=0, ge=0)
    provider_timeout: Duration = Field(default=10, gt=0)

    notion_token: str = ""
    notion_api_url: Address = "https://api.notion.com"
    notion_rate: float = Field(default=3, gt=0)
    notion_businessx_db_id: str = ""
    notion_email_sequence_db_id: str = ""
    notion_email_log_db_id: str = ""
    notion_templates_db_id: str = ""
    notion_property_names: Pairs = {}

    internal_token: Token = ""
    internal_token_previous: Token = ""
    unsubscribe_key: SigningKey = ""
    unsubscribe_key_previous: Token = ""  # made before keys had to be longer; old links carry it
    website_webhook_secret: WebhookSecret = ""
    website_webhook_secret_previous: WebhookSecret = ""
    resend_webhook_secret: WebhookSecret = ""
    resend_webhook_secret_previous: WebhookSecret = ""
    calcom_webhook_secret: Token = ""
    calcom_webhook_secret_previous: Token = ""
    calendly_signing_key: Token = ""
    calendly_signing_key_previous: Token = ""
    operator_token: Token = ""
    operator_token_previous: Token = ""
    console_password: Password = ""
    challenge_key: Token = ""

    discord_webhook_url: Annotated[
        str, Field(pattern=r"^(https?://\S+)?$", examples=["https://discord.com/api/webhooks/1/secret"])
    ] = ""
    alert_email: str = ""

    public_url: Address = "http://127.0.0.1:8080"
    send_function_url: Address = "http://127.0.0.1:8080/function/send-email"
    booking_url: Address = "https://cal.com"
    business_name: str = "Evergreen"
    postal_address: str = ""
    brand_color: str = Field(default="#1f6f54", pattern=r"^#[0-9a-fA-F]{6}$", examples=["#1f6f54"])
    brand_logo_url: Annotated[
        str, Field(pattern=r"^(https://\S+)?$", examples=["https://www.example.org/logo.png"])
    ] = ""
    business_timezone: TimeZone = "UTC"

    testing_mode: bool = False
    testing_step: Duration | None = Field(default=None, gt=0)
    campaigns_dir: str = ""

    webhook_body_limit: int = Field(default=65536, gt=0)
    webhook_rate_per_ip: Rate = "10/second"
    webhook_rate_per_address: Rate = "5/hour"
    signups_per_hour: int = Field(default=600, ge=0)
    signups_per_day: int = Field(default=2000, ge=0)
    log_networks: bool = True
    trusted_proxies: Networks = []
    cors_origins: Words = []
    challenge: Literal["under-load", "always"] = "under-load"

    host: str = "0.0.0.0"  # noqa: S104 - a container is reached from outside; the local stack sets 127.0.0.1
    port: int = 8080
    dashboard_port: int = 9181
    metrics_port: int = 9100
    threads: int = Field(default=16, gt=0)
    drain: Duration = Field(default=3, ge=0)
    log_level: LogLevel = "INFO"

    @field_validator("redis_url")
    @classmethod
    def _strong_in_url(cls, value: str) -> str:
        if not _is_near(value):
            refuse_weak(_password_in(value))
        return value

    @field_validator("redis_password")
    @classmethod
    def _strong_if_remote(cls, value: str, info: ValidationInfo) -> str:
        return value if _is_near(info.data.get("redis_url", "")) else refuse_weak(value)

    @field_validator(*(f"{name}_previous" for name in PAIRS))
    @classmethod
    def _beside_a_new_one(cls, value: str, info: ValidationInfo) -> str:
        own = str(info.field_name).removesuffix("_previous")
        if value and info.data.get(own) == "":
            raise ValueError(f"is set without {own.upper()}; put the new value there, or remove this one")
        return value

    def accepted(self, name: str) -> tuple[str, ...]:
        """The values of a secret that are accepted as proof: the one in use first, then the one that it replaces.

        Args:
            name: one of PAIRS.
        """
        return tuple(value for value in (getattr(self, name), getattr(self, f"{name}_previous")) if value)

    @cached_property
    def trusted_networks(self) -> list[IPv4Network | IPv6Network]:
        """The proxies whose X-Forwarded-For is trusted."""
        return [ip_network(text, strict=False) for text in self.trusted_proxies]

    @property
    def fenced(self) -> bool:
        """Whether another copy of this ledger could be at work, which only Notion can show."""
        return bool(self.notion_token and self.notion_email_sequence_db_id)

    @property
    def recorded(self) -> bool:
        """Whether Notion is set up with a database to record what happens here."""
        return bool(
            self.notion_token
            and (self.notion_businessx_db_id or self.notion_email_sequence_db_id or self.notion_email_log_db_id)
        )

    @property
    def backoff_divisor(self) -> int:
        """By how much TESTING_MODE shortens backoff and `late.after`; timeouts and leases never shrink."""
        return 60 if self.testing_mode else 1

    @property
    def function_timeout(self) -> float:
        """Seconds a function has for one request.

        The ladder: provider 10 < function 15 < worker's HTTP 20 < job 30 < lease 45."""
        return self.provider_timeout * 1.5

    @property
    def http_timeout(self) -> float:
        """Seconds a worker waits for the send function."""
        return self.provider_timeout * 2

    @property
    def job_timeout(self) -> float:
        """Seconds a worker gives one job."""
        return self.provider_timeout * 3

    @property
    def lease(self) -> float:
        """Seconds a claim holds."""
        return self.provider_timeout * 4.5

    @property
    def redis_is_open(self) -> bool:
        """Whether Redis is on another machine and no password is set for it."""
        return not (_is_near(self.redis_url) or self.redis_password or _password_in(self.redis_url))

    def require(self, *names: str) -> Settings:
        """Raise unless each named setting has a value.

        Args:
            names: fields of this class; `a|b` if one of the two is enough. `redis_url` also requires Redis's password,
                unless Redis is on this machine.

        Raises:
            SettingsError: naming every missing one and where to put it.
        """
        missing = [
            name.upper().replace("|", " or ")
            for name in names
            if not any(getattr(self, one) for one in name.split("|"))
        ]
        if "redis_url" in names and self.redis_is_open:
            missing.append("REDIS_PASSWORD")
        if missing:
            file = missing[0].split()[0].lower().replace("_", "-")
            where = f"in the environment, as NAME_FILE=<path>, or as a secret file such as {SECRETS_DIR}/{file}"
            raise SettingsError(
                f"missing: {', '.join(missing)}. Set {'it' if len(missing) == 1 else 'each'} {where}. See .env.example."
            )
        return self


def _is_near(redis_url: str) -> bool:
    """Whether Redis is on this machine."""
    url = urlsplit(redis_url)
    near = re.fullmatch(r"localhost|::1|127(\.\d+){3}", url.hostname or "localhost")
    return url.scheme == "unix" or near is not None


def _password_in(redis_url: str) -> str:
    url = urlsplit(redis_url)
    return unquote(url.password or "") or parse_qs(url.query).get("password", [""])[0]


def _secret_file(path: Path) -> str | None:
    """A secret's text; some platforms mount `<name>/<name>` where others mount `<name>`."""
    if path.is_dir():
        path = path / path.name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _given(name: str, environ: Mapping[str, str], secrets_dir: Path) -> str | None:
    file = name.replace("_", "-")
    text = _secret_file(secrets_dir / file)
    if text is None:  # where each secret is a folder, the previous value is in the folder of the new one
        text = _secret_file(secrets_dir / file.removesuffix("-previous") / file)
    if text is None and (path := environ.get(f"{name.upper()}_FILE")):
        if (text := _secret_file(Path(path))) is None:
            raise SettingsError(
                f"{name.upper()}_FILE names {path}, which is not a file. Correct the path or remove the variable."
            )
        return text
    return environ.get(name.upper()) if text is None else text


def load(environ: Mapping[str, str] | None = None, secrets_dir: Path = SECRETS_DIR) -> Settings:
    """Read the settings.

    Args:
        environ: the environment to read (default: this process's).
        secrets_dir: the folder of secret files, named in lower case with hyphens.

    Raises:
        SettingsError: naming every setting that is wrong, and why.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        try:
            text = _given(name, environ, secrets_dir)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name.upper()}: its file cannot be read as text ({type(error).__name__})") from None
        if text:
            values[name] = text
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = [f"{where.upper()}: {what}" for where, what in faults.all_of(error, faults.examples_of(Settings))]
        raise SettingsError(f"wrong settings: {'; '.join(wrong)}. See .env.example.") from None
