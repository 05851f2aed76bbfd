"""health: says whether emails go out, for an uptime monitor; open to all, and so without a secret."""

from flask import Request, Response
from redis.exceptions import RedisError

from shared import services
from shared.web import endpoint

services.current_settings().require("redis_url")
SILENT_AFTER = 15_000  # milliseconds without a tick of the scheduler
OVERDUE_AFTER = 60_000


@endpoint.function("health", methods=("GET", "HEAD"))
def handle(_request: Request) -> Response:
    """200 `healthy`, or 503 `degraded` with the reasons."""
    settings = services.current_settings()
    facts: dict[str, object] = {
        "testing_mode": settings.testing_mode,
        "resend_configured": bool(settings.resend_api_key),
        "notion_configured": bool(settings.notion_token),
        "discord_configured": bool(settings.discord_webhook_url),
    }
    reasons = []
    try:
        vitals = services.ledger().vitals()
    except RedisError:
        reasons.append("Redis is away")
    else:
        if vitals["tick_age"] is None or vitals["tick_age"] > SILENT_AFTER:
            reasons.append("the scheduler is silent")
        if vitals["overdue"] > OVERDUE_AFTER:
            reasons.append("an email is overdue")
        if vitals["fence"]:
            reasons.append("fenced: another copy of this ledger may be sending")
        if vitals["gate"]:
            reasons.append("sending is stopped")
        facts |= {
            "fenced": bool(vitals["fence"]),
            "scheduler_age_ms": vitals["tick_age"],
            "oldest_overdue_ms": vitals["overdue"],
            "scheduled": vitals["scheduled"],
            "queue_depth": vitals["queued"],
            "workers": vitals["workers"],
            "recorders": vitals["recorders"],
            "outbox_depth": vitals["outbox"],
        }
    status = {"status": "degraded" if reasons else "healthy", "reasons": reasons}
    return endpoint.answer(503 if reasons else 200, status | facts)
