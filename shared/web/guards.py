"""Who may call a function, and how often: signatures, tokens, the caller's address, and limits."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Request
from limits import parse as parse_limit
from redis.exceptions import RedisError
from standardwebhooks import Webhook, WebhookVerificationError

from shared import services
from shared.core import log
from shared.core.errors import TooManyRequests, WebhookError
from shared.ledger import ids, limits
from shared.ledger.orders import Limit
from shared.web import visitor

_logger = log.logger("guards")


@contextmanager
def proving(proof: str) -> Iterator[None]:
    """Log and count a proof that fails inside this block.

    Args:
        proof: its kind, such as `signature`.
    """
    try:
        yield
    except WebhookError as error:
        if error.status == 401:
            refused(proof)
        raise


def refused(proof: str) -> None:
    """Log and count a failed proof, without any of its content.

    Args:
        proof: its kind, such as `signature`.
    """
    _logger.warning("proof.failed", proof=proof)
    with suppress(RedisError):  # refused even while Redis is unavailable
        limits.refused(services.ledger(), log.known("function"))


def require_bearer(request: Request, token: str) -> None:
    """Admit only the holder of a token; raises WebhookError 401."""
    given = request.headers.get("Authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        refused("bearer token")
        raise WebhookError(401, "the bearer token is missing or wrong")


def prove_operator(request: Request, data: bytes) -> None:
    """Admit only the operator, or a server that signs for them; raises WebhookError 401."""
    settings = services.current_settings()
    if "Authorization" not in request.headers and settings.website_webhook_secret:
        _verify_signature(request, data, settings.website_webhook_secret)
    else:
        require_bearer(request, settings.operator_token)


def prove_website(request: Request, data: bytes) -> bool:
    """Check the signature of the website's server, if one is set up.

    Args:
        request: the request.
        data: its body, which the signature covers.

    Returns:
        Whether the request is proved; if not, anyone may have sent it, and limits apply.

    Raises:
        WebhookError: 401 for a bad signature.
    """
    settings = services.current_settings()
    if settings.website_webhook_secret:
        _verify_signature(request, data, settings.website_webhook_secret)
    return bool(settings.website_webhook_secret)


def _verify_signature(request: Request, data: bytes, secret: str) -> None:
    try:
        Webhook(secret).verify(data, {name.lower(): value for name, value in request.headers.items()}, json_parse=False)
    except (WebhookVerificationError, ValueError):  # malformed headers raise ValueError (binascii's and unicode's too)
        refused("signature")
        raise WebhookError(401, "the signature is missing, wrong or too old") from None


def client_ip(request: Request) -> str:
    """Whom limits count: the visitor's IPv4 address, or the /64 of an IPv6 address."""
    return visitor.identify(request, services.current_settings().trusted_networks).networks[0]


def limit(kind: str, who: str, rate: str) -> Limit:
    """A limit that the ledger counts.

    Args:
        kind: what it counts by, such as `ip`.
        who: whose requests; stored as a digest.
        rate: such as `10/second`.
    """
    item = parse_limit(rate)
    return Limit(key=f"{kind}:{rate}:{ids.digest(who)}", most=item.amount, window=item.get_expiry() * 1000)


def limit_rate(kind: str, who: str, rate: str) -> int:
    """Count a request; arguments as for `limit`.

    Returns:
        The ledger's time, in milliseconds since 1970 UTC.

    Raises:
        TooManyRequests: if the limit is exceeded.
    """
    counted = services.ledger().limit(limit(kind, who, rate))
    if counted.wait:
        _logger.warning("rate.limited", by=kind)
        raise TooManyRequests(counted.wait)
    return counted.now
