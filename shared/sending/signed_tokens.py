"""The token in a link that needs no login: it names a contact, says what the link is for, and cannot be forged."""

from __future__ import annotations

import hashlib
import hmac

from shared.core import proofs


def sign(subject: str, purpose: str, key: str) -> str:
    """A token that proves what it names, for one purpose; it never expires.

    Args:
        subject: what it names, such as a contact's id, which is not its address.
        purpose: what the link does, such as `unsubscribe`; a token is good for no other.
        key: UNSUBSCRIBE_KEY.
    """
    return f"{subject}.{_signature(subject, purpose, key)}"


def subject_of(token: str, purpose: str, keys: tuple[str, ...]) -> str | None:
    """What a token names, or None if it is not ours, or for another purpose.

    Args:
        token: as in the link.
        purpose: as for `sign`.
        keys: those accepted.
    """
    subject, _, signature = token.rpartition(".")
    is_ours = proofs.is_one_of(signature, [_signature(subject, purpose, key) for key in keys])
    return subject if is_ours else None


def _signature(subject: str, purpose: str, key: str) -> str:
    signed = f"{purpose}:{subject}".encode(errors="surrogatepass")
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()[:32]
