"""health: whether emails go out, for an uptime monitor; public, so it shows no secret."""

from flask import Request, Response
from redis.exceptions import RedisError

from shared import services
from shared.ledger.health import Health, Problem, read_health
from shared.ledger.redis_errors import reason
from shared.web import endpoint

services.current_settings().require("redis_url")
# The problems that hold up emails or sign-ups, in words.
REASONS = {
    Problem.TOO_NEW: "the ledger is from a newer release",
    Problem.FULL: "the ledger is full",
    Problem.STOPPED: "sending is stopped",
    Problem.NO_INFO: "Redis does not let its user run INFO: allow +info",
    Problem.FENCED: "fenced: another copy of this ledger may be sending",
    Problem.SILENT: "the scheduler is silent",
    Problem.OVERDUE: "an email is overdue",
    Problem.UNLISTED: "an email is on no list",
    Problem.NO_ROOM: "the ledger is 90 % full: forms are refused",
}


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
    try:
        health = read_health(services.ledger())
    except RedisError as error:
        reasons = [f"Redis is unavailable: it {reason(error).what}"]
    else:
        reasons = [REASONS[problem] for problem in health.problems if problem in REASONS]
        reasons += [f"Notion: {sentence}" for sentence in health.notion[:1]]  # the console has all
        facts |= _numbers(health)
    status = {"status": "degraded" if reasons else "healthy", "reasons": reasons}
    return endpoint.answer(503 if reasons else 200, status | facts)


def _numbers(health: Health) -> dict[str, object]:
    return {
        "fenced": health.fence is not None,
        "scheduler_age_ms": health.tick_age,
        "oldest_overdue_ms": health.overdue,
        "unlisted": health.unlisted,
        "scheduled": health.scheduled,
        "queue_depth": health.queued,
        "workers": health.workers["send"],
        "recorders": health.workers["record"],
        "notifiers": health.workers["notify"],
        "outbox_depth": health.outbox,
        "memory_used_percent": round(health.memory_used * 100),
    }
