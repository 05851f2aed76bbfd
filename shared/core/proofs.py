"""Whether a proof is right. Each secret may be two values while it is replaced, so a proof is checked against both.

Every value is tried, and in constant time, so how long it takes tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError

_SIGNATURE = re.compile(r"\bv1,[A-Za-z0-9+/]{43}=")


def is_one_of(given: str, accepted: Sequence[str]) -> bool:
    """Whether a secret or a signature is one of those accepted. Digests are compared, so not even the length shows.

    Args:
        given: what someone showed.
        accepted: the right ones; an empty one never counts.
    """
    return any([hmac.compare_digest(_digest(given), _digest(right)) for right in accepted if right])


def is_signed(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...]) -> bool:
    """Whether a body was signed in the last five minutes, as Standard Webhooks says (https://www.standardwebhooks.com).

    Args:
        body: the raw body.
        headers: with `webhook-id`, `webhook-timestamp` and `webhook-signature`.
        secrets: those accepted, `whsec_` followed by the key in base64.
    """
    return any([_is_signed(body, headers, secret) for secret in secrets])


def _is_signed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    # The library gives up at the first malformed signature of the list, though a later one may be right.
    signatures = " ".join(_SIGNATURE.findall(headers.get("webhook-signature", "")))
    try:
        Webhook(secret).verify(body, {**headers, "webhook-signature": signatures}, json_parse=False)
    except (WebhookVerificationError, ValueError):  # malformed headers raise ValueError (binascii's and unicode's too)
        return False
    return True


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
