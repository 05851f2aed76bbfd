"""The types of values that an owner writes: durations, addresses, rates, time zones, lists and pairs."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: Any) -> Any:
    """Read a duration as people write it: `5s`, `1m`, `12h`, `500ms`, `2d`.

    Args:
        value: the text; a number counts as seconds, and anything else is left to pydantic's own error.

    Raises:
        ValueError: if the text is not a duration, or has no unit.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", value)
    if not match:
        raise ValueError(f"{value!r} is not a valid duration; write a number and a unit, such as 30s, 15m, 24h or 7d")
    if not match[2] and float(match[1]):
        raise ValueError(f"{value!r} has no unit; write {match[1]}s, {match[1]}m, {match[1]}h or {match[1]}d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _words(value: Any) -> Any:
    return [word.rstrip("/") for word in re.split(r"[,\s]+", value) if word] if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(";") if pair.strip()]
    for name, equals, own in pairs:
        if not (equals and name.strip() and own.strip()):
            raise ValueError(f"{name!r} is not paired with a name of yours; write ours=yours, separated by semicolons")
    return {name.strip(): own.strip() for name, _, own in pairs}


def _redis_url(value: str) -> str:
    value = value.strip()
    try:
        url = urlsplit(value)
        valid = url.scheme in ("redis", "rediss", "unix") and url.port != 0 and not url.fragment
    except ValueError:  # the port is not a number
        valid = False
    if not valid or ("@" in url.path + url.query and "@" not in url.netloc):  # the latter: a / or ? in a password
        raise ValueError(
            "is not valid; write it like redis://redis:6379/0, and in a password # as %23, / as %2F and ? as %3F, or "
            "use REDIS_PASSWORD"
        )
    if re.search(r"%(?![0-9A-Fa-f]{2})", url.netloc) or "\ufffd" in unquote(url.netloc):
        raise ValueError("has a % that stands for no character; write % in a password as %25, or use REDIS_PASSWORD")
    if url.scheme != "unix" and not re.fullmatch(r"/?\d*/?", url.path):
        raise ValueError("does not end with the number of a database, such as /0")
    if url.scheme == "unix" and not url.path:
        raise ValueError("names no socket; write it like unix:///run/valkey/valkey.sock")
    _refuse_options(value)
    return value


def _refuse_options(redis_url: str) -> None:
    """Raise ValueError for options that the Redis client does not take."""
    from redis import ConnectionPool
    from redis.exceptions import RedisError

    try:
        ConnectionPool.from_url(redis_url).make_connection()  # opens nothing
    except (TypeError, ValueError, RedisError):
        names = ", ".join(parse_qs(urlsplit(redis_url).query))
        raise ValueError(
            f"has an option that is unknown, or a wrong value for one: {names}; those for TLS need rediss://"
        ) from None


def _known_zone(value: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{value!r} is not a valid time zone; write one of the IANA names, such as America/Toronto"
        ) from error
    return value


def _known_networks(value: list[str]) -> list[str]:
    for text in value:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is not a valid network; write it like 10.42.0.0/16") from None
    return value


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0, allow_inf_nan=False)]
Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+", examples=["https://evergreen.example.org"])]
Rate = Annotated[str, Field(pattern=r"^[1-9]\d*/(second|minute|hour|day)$", examples=["10/second"])]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
Words = Annotated[list[str], BeforeValidator(_words)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Networks = Annotated[Words, AfterValidator(_known_networks)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
