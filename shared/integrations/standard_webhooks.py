"""Signatures as in Standard Webhooks (https://www.standardwebhooks.com), which Resend's are, too."""

from __future__ import annotations

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError


def is_signed(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...]) -> bool:
    """Whether a body was signed with one of these secrets in the last five minutes; each is tried.

    Args:
        body: the raw body.
        headers: with `webhook-id`, `webhook-timestamp` and `webhook-signature`.
        secrets: those accepted, `whsec_` followed by the key in base64.
    """
    return any([_is_signed(body, headers, secret) for secret in secrets])


def _is_signed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # malformed headers raise ValueError (binascii's and unicode's too)
        return False
    return True
