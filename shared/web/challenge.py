"""The challenge of a form: proof of work that a browser does in the background, in ALTCHA's format. Pure: no Redis, no
network."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import altcha

LIFETIME = 20 * 60_000  # ms
LONGEST = 2_000  # characters; a solution has about 640
_COST = 5_000  # iterations for one try: 2 ms of a phone's core, and of ours to check it
_FEWEST_TRIES = 600  # at most twice as many: about a second for a phone, which tries on several cores at once


@dataclass(frozen=True)
class Solved:
    """A challenge of ours that was solved, and has not expired.

    Attributes:
        id: by which to remember that it is spent.
        expires: until when to remember it, in milliseconds since 1970 UTC.
    """

    id: str
    expires: int


def create(key: str, now: int) -> dict[str, Any]:
    """A new challenge, as the widget fetches it.

    Args:
        key: CHALLENGE_KEY; signs it.
        now: the ledger's time, in milliseconds since 1970 UTC.
    """
    # Not ALTCHA's `expiresAt`, which its library compares with this machine's clock instead of the ledger's.
    challenge = altcha.create_challenge(
        "PBKDF2/SHA-256",
        _COST,
        counter=_FEWEST_TRIES + secrets.randbelow(_FEWEST_TRIES),
        data={"expires": now + LIFETIME},
        hmac_secret=key,
    )
    return challenge.to_dict()


def verified(payload: str | None, key: str, now: int) -> Solved | None:
    """What a form's solution is worth; never raises.

    Args:
        payload: the form's field `altcha`.
        key: CHALLENGE_KEY.
        now: the ledger's time, in milliseconds since 1970 UTC.

    Returns:
        The solved challenge; None without a key, and for anything that is not the right solution of a challenge that
        this key signed in the last 20 minutes.
    """
    if not key or not payload or len(payload) > LONGEST:
        return None
    try:
        given = altcha.Payload.from_base64(payload)
        if not altcha.verify_solution(given, key).verified:
            return None
        signature = str(given.challenge.signature)  # one spelling only: the library compares it exactly
        expires = int((given.challenge.parameters.data or {})["expires"])
    except Exception:  # a stranger wrote it: what cannot be read is not solved
        return None
    if not now < expires <= now + LIFETIME:
        return None
    return Solved(hashlib.sha256(signature.encode()).hexdigest()[:32], expires)
