"""Secrets that can be guessed are refused at start: too short ones, placeholders, and those of few characters."""

from __future__ import annotations

import base64
import re
from typing import Annotated

from pydantic import AfterValidator

PASSWORD = 12  # characters: a person types it, and guessing is limited
TOKEN = 16  # characters: each guess is a request
KEY = 32  # characters: its signatures are in every mailbox, so guesses need no request
WEBHOOK = 24  # bytes, as https://www.standardwebhooks.com asks
_VARIED = 6  # different characters
NEW = "create one with `openssl rand -hex 32`"
_NEW_WEBHOOK = 'create one with `echo "whsec_$(openssl rand -base64 32)"`'
_WORDS = (
    "changethis changeme change replaceme replace placeholder example sample default your my the please now "
    "here supersecret secret passphrase password passwort passwd pass token apikey key admin root letmein welcome "
    "iloveyou trustno1 qwertyuiop qwerty asdfghjkl asdf zxcvbnm 1q2w3e4r5t 1qaz2wsx abcdefghijklmnopqrstuvwxyz abcdef "
    "abc 01234567890 1234567890 0123456789 123456789 12345678 1234567 123456 12345 1234 123 987654321"
)
_PLACEHOLDERS = re.compile("|".join(sorted(_WORDS.split(), key=len, reverse=True)))


def weakness(secret: str, least: int) -> str | None:
    """Why a secret can be guessed, without repeating it; None if it cannot.

    Args:
        secret: its text.
        least: characters that it must have.
    """
    own, placeholders = _PLACEHOLDERS.subn("", re.sub(r"[\W_]", "", secret.lower()))
    if len(secret) < least:
        return f"it has fewer than {least} characters"
    if len(set(secret)) < _VARIED:
        return "it repeats a few characters"
    return "it is a placeholder or an example" if placeholders and len(own) < _VARIED else None


def refuse_weak(secret: str, least: int = TOKEN) -> str:
    """The secret, unless it can be guessed; empty means that none is set.

    Args:
        secret: its text.
        least: characters that it must have.

    Raises:
        ValueError: saying why and how to make a good one.
    """
    if secret and (why := weakness(secret, least)):
        raise ValueError(f"can be guessed: {why}; {NEW}")
    return secret


def _unsubscribe_key(value: str) -> str:
    try:
        return refuse_weak(value, KEY)
    except ValueError as error:
        raise ValueError(
            f"{error}, and keep this one as UNSUBSCRIBE_KEY_PREVIOUS, or links already sent stop working"
        ) from None


def _webhook_secret(value: str) -> str:
    problem = "a Standard Webhooks secret is whsec_ followed by the key in base64"
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError(problem) from None
    if value and not (value.startswith("whsec_") and key):
        raise ValueError(problem)
    if value and len(key) < WEBHOOK:
        raise ValueError(f"can be guessed: its key has fewer than {WEBHOOK} bytes; {_NEW_WEBHOOK}")
    text = key.decode("latin-1")
    if value and (why := weakness(text if text.isprintable() and text.isascii() else key.hex(), WEBHOOK)):
        raise ValueError(f"can be guessed: {why}; {_NEW_WEBHOOK}")
    return value


Password = Annotated[str, AfterValidator(lambda value: refuse_weak(value, PASSWORD))]
Token = Annotated[str, AfterValidator(refuse_weak)]
SigningKey = Annotated[str, AfterValidator(_unsubscribe_key)]
WebhookSecret = Annotated[str, AfterValidator(_webhook_secret)]
