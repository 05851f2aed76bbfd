"""Who may call a function, and how often: signatures, tokens, the caller's address, and limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Request
from redis.exceptions import RedisError

from shared import services
from shared.core import log, proofs
from shared.core.errors import TooManyRequests, WebhookError
from shared.domain.visitors import Visitor
from shared.intake import visits
from shared.ledger import limits
from shared.web.visitor import identify

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


def trapped() -> None:
    """Log and count a form whose hidden field is filled in: it does nothing, so the owner must be able to see it."""
    _logger.warning("honeypot.filled")
    limits.trapped(services.ledger(), log.known("function"))


def require_bearer(request: Request, tokens: tuple[str, ...]) -> None:
    """Admit only the holder of one of these tokens; raises WebhookError 401."""
    given = request.headers.get("Authorization", "")
    if not proofs.is_one_of(given, [f"Bearer {token}" for token in tokens if token]):
        refused("bearer token")
        raise WebhookError(401, "the bearer token is missing or wrong")


def prove_operator(request: Request, data: bytes) -> None:
    """Admit only the operator, or a server that signs for them; raises WebhookError 401."""
    settings = services.current_settings()
    secrets = settings.accepted("website_webhook_secret")
    if "Authorization" not in request.headers and secrets:
        _verify_signature(request, data, secrets)
    else:
        require_bearer(request, settings.accepted("operator_token"))


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
    secrets = services.current_settings().accepted("website_webhook_secret")
    if secrets:
        _verify_signature(request, data, secrets)
    return bool(secrets)


def _verify_signature(request: Request, data: bytes, secrets: tuple[str, ...]) -> None:
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not proofs.is_signed(data, headers, secrets):
        refused("signature")
        raise WebhookError(401, "the signature is missing, wrong or too old")


def visitor(request: Request) -> Visitor:
    """Where a request comes from."""
    return identify(request, services.current_settings().trusted_networks)


def network(request: Request) -> str | None:
    """The network that the log and a consent name; None if LOG_NETWORKS is off."""
    return visitor(request).networks[0] if services.current_settings().log_networks else None


def limit_visits(request: Request, kind: str) -> int:
    """Count a request by its sender's networks.

    Args:
        request: the request.
        kind: what is counted, such as `challenge`; `ip` for forms.

    Returns:
        The ledger's time, in milliseconds since 1970 UTC.

    Raises:
        TooManyRequests: if WEBHOOK_RATE_PER_IP is exceeded.
    """
    rates = visits.burst(kind, visitor(request), services.current_settings().webhook_rate_per_ip)
    counted = services.ledger().limit(*rates)
    if counted.wait:
        _logger.warning("rate.limited", by=kind)
        raise TooManyRequests(counted.wait)
    return counted.now
