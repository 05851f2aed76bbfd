"""Who may call a function, and how often: signatures, tokens, the caller's address, and limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from flask import Request
from limits import parse as parse_limit
from redis.exceptions import RedisError

from shared import services
from shared.core import log, proofs
from shared.core.errors import TooManyRequests, WebhookError
from shared.ledger import ids, limits
from shared.ledger.orders import Limit

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


def client_ip(request: Request) -> str:
    """The sender's IP: the peer's, or the one that a trusted proxy reports."""
    networks = services.current_settings().trusted_networks
    chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    address = request.remote_addr or "unknown"
    while chain:
        try:
            trusted = any(ip_address(address) in network for network in networks)
        except ValueError:
            break
        if not trusted:
            break
        address = chain.pop()
    return address


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
