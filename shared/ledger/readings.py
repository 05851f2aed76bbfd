"""Readings: all that Prometheus collects, at a cost that does not grow with the number of enrollments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.states import LISTED, EnrollmentState
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.health import OVERDUE_AFTER, Health, read_health
from shared.ledger.limits import TRAPPED


@dataclass(frozen=True)
class Readings:
    """The numbers at one instant.

    Attributes:
        health: see shared/ledger/health.py.
        tallies: by campaign, what has happened so far: `enrolled`, `<step>.sent`, `<step>.delivered`, ...
        states: by campaign, how many enrollments are in each state, among those still kept.
        queued, workers, failed: by queue, the waiting jobs, the workers, and the jobs on RQ's failed list.
        lateness: emails by the upper end of their bucket in seconds, and the `sum` in milliseconds.
        counts: emails by the outcome of each request, and `held`, requests that hit the provider's rate limit.
        trapped: by form, how often its hidden field was filled in.
        gauges: `open` and `late` steps, waiting `notices` and `leads`, `suppressed` contacts, `rejected` templates.
    """

    health: Health
    tallies: Mapping[str, dict[str, int]]
    states: Mapping[str, Mapping[EnrollmentState, int]]
    queued: dict[str, int]
    workers: dict[str, int]
    failed: dict[str, int]
    lateness: dict[str, int]
    counts: dict[str, int]
    trapped: dict[str, int]
    gauges: dict[str, int]


def read(ledger: Ledger, slugs: Sequence[str]) -> Readings:
    """Read all the numbers.

    Args:
        ledger: where they are stored.
        slugs: the campaigns.

    Raises:
        RedisError: when Redis does not answer.
    """
    now = ledger.now()
    pipe = ledger.redis.pipeline(transaction=False)
    for slug in slugs:
        pipe.hgetall(f"eg:tally:{slug}")
        for state in LISTED:
            pipe.zcard(f"eg:in:{state}:{slug}")
    for queue in ids.QUEUES:
        pipe.llen(f"rq:queue:{queue}")
        pipe.scard(ids.workers_key(queue))
        pipe.zcard(f"rq:failed:{queue}")
    pipe.hgetall("eg:lateness")
    pipe.hgetall("eg:counts")
    pipe.hgetall(TRAPPED)
    pipe.zcard(ids.OPEN)
    pipe.zcount(ids.OPEN, "-inf", now - OVERDUE_AFTER)
    pipe.zcard(ids.NOTICES)
    pipe.zcard(ids.LEADS)
    pipe.zcard("eg:suppressed")
    pipe.hlen("eg:templates:rejected")
    answers = iter(pipe.execute())
    campaigns = {slug: (_numbers(next(answers)), {state: next(answers) for state in LISTED}) for slug in slugs}
    queues = {queue: (next(answers), next(answers), next(answers)) for queue in ids.QUEUES}
    return Readings(
        health=read_health(ledger),
        tallies={slug: tally for slug, (tally, _) in campaigns.items()},
        states={slug: states for slug, (_, states) in campaigns.items()},
        queued={queue: numbers[0] for queue, numbers in queues.items()},
        workers={queue: numbers[1] for queue, numbers in queues.items()},
        failed={queue: numbers[2] for queue, numbers in queues.items()},
        lateness=_numbers(next(answers)),
        counts=_numbers(next(answers)),
        trapped=_numbers(next(answers)),
        gauges=dict(zip(("open", "late", "notices", "leads", "suppressed", "rejected"), answers, strict=True)),
    )


def _numbers(counted: Mapping[str, str]) -> dict[str, int]:
    return {name: int(number) for name, number in counted.items()}
