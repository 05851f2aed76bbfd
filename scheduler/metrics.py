"""The metrics for Prometheus, at the scheduler's /metrics.

They are kept in Redis and read on each scrape, so a restart loses none and two schedulers show the same. No label
contains an address or an enrollment; docs/metrics.md explains each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from shared.core import log
from shared.domain.states import Outcome, StepState
from shared.ledger.client import Ledger
from shared.ledger.readings import Readings, read

RESULTS = tuple(state for state in StepState if not state.is_open)
EVENTS = ("delivered", "opened", "clicked", "bounced", "complained")
LATENESS = (
    "1",
    "5",
    "15",
    "60",
    "300",
    "900",
    "3600",
    "21600",
    "86400",
    "+Inf",
)  # seconds; settle.lua counts in the same buckets
Numbers = dict[tuple[str, ...], int]  # by labels
_logger = log.logger("metrics")


class Figures(Collector):
    """All metrics of one ledger.

    Args:
        ledger: read at each scrape, in a few round trips.
        slugs: the campaigns to show.
    """

    def __init__(self, ledger: Ledger, slugs: Iterable[str]) -> None:
        self.ledger = ledger
        self.slugs = list(slugs)

    def collect(self) -> Iterator[Metric]:
        """The metrics now; if Redis does not respond, only that."""
        try:
            readings = read(self.ledger, self.slugs)
        except RedisError:
            yield _gauge("redis_up", "Whether Redis responds.", 0)
            return
        yield _gauge("redis_up", "Whether Redis responds.", 1)
        yield from _campaigns(readings)
        yield from _sending(readings)
        yield from _backlog(readings)
        yield from _health(readings)


def _campaigns(now: Readings) -> Iterator[Metric]:
    enrolled: Numbers = {(slug,): tally.get("enrolled", 0) for slug, tally in now.tallies.items()}
    yield _counters("enrollments", "Enrollments by campaign.", ["campaign"], enrolled)
    runs: Numbers = {(slug, state): number for slug, states in now.states.items() for state, number in states.items()}
    yield _gauges("runs", "Stored enrollments, by campaign and state.", ["campaign", "state"], runs)
    trapped: Numbers = {(form,): number for form, number in now.trapped.items()}
    yield _counters("honeypot", "Forms whose hidden field was filled in.", ["form"], trapped)
    yield _counters(
        "emails", "Emails by campaign and how they ended.", ["campaign", "result"], _over_steps(now, RESULTS)
    )
    yield _counters(
        "email_events", "Events that Resend reported for emails.", ["campaign", "event"], _over_steps(now, EVENTS)
    )


def _over_steps(now: Readings, names: Sequence[str]) -> Numbers:
    """The tallies, kept by step (`3.sent`), by campaign and name."""
    found: Counter[tuple[str, ...]] = Counter({(slug, name): 0 for slug in now.tallies for name in names})
    for slug, tally in now.tallies.items():
        for field, number in tally.items():
            name = field.partition(".")[2]
            if name in names:
                found[slug, name] += number
    return found


def _sending(now: Readings) -> Iterator[Metric]:
    lateness = HistogramMetricFamily("evergreen_lateness_seconds", "From an email's due time until Resend accepted it.")
    buckets, total = [], 0
    for end in LATENESS:
        total += now.lateness.get(end, 0)
        buckets.append((end, float(total)))
    lateness.add_metric([], buckets, now.lateness.get("sum", 0) / 1000)
    yield lateness
    outcomes: Numbers = {(outcome,): now.counts.get(outcome, 0) for outcome in Outcome}
    yield _counters("attempts", "Attempts at an email by outcome.", ["outcome"], outcomes)
    yield _counters(
        "rate_limited",
        "Requests that Resend answered with 429 for its rate limit.",
        [],
        {(): now.counts.get("held", 0)},
    )


def _backlog(now: Readings) -> Iterator[Metric]:
    for name, help_text, numbers in (
        ("queue_jobs", "Jobs waiting for a worker.", now.queued),
        ("workers", "Running workers.", now.workers),
        ("failed_jobs", "Jobs on RQ's failed list.", now.failed),
    ):
        yield _gauges(name, help_text, ["queue"], {(queue,): number for queue, number in numbers.items()})
    yield _gauge("scheduled", "Wake-ups on the schedule.", now.health.scheduled)
    yield _gauge("open_steps", "Emails still to be sent.", now.gauges["open"])
    yield _gauge("late_steps", "Emails whose next wake-up is overdue by more than a minute.", now.gauges["late"])
    yield _gauge("overdue_seconds", "How long the oldest wake-up has been overdue.", now.health.overdue / 1000)
    yield _gauge(
        "unlisted_steps", "Emails that are on no list, in a sample of the active enrollments.", now.health.unlisted
    )
    yield _gauge("outbox", "Changes not yet written to Notion.", now.health.outbox)
    yield _gauge("notices", "Alerts not yet sent to the owner.", now.gauges["notices"])
    yield _gauge("leads", "Urgent leads not yet sent to the owner.", now.gauges["leads"])


def _health(now: Readings) -> Iterator[Metric]:
    if now.health.tick_age is not None:
        yield _gauge(
            "scheduler_tick_age_seconds", "Time since the scheduler was last seen.", now.health.tick_age / 1000
        )
    yield _gauge("memory_bytes", "Memory of Redis that counts towards its maxmemory.", now.health.memory)
    yield _gauge("memory_limit_bytes", "Redis's maxmemory; 0: none.", now.health.memory_limit)
    yield _gauge("sending_stopped", "Whether the gate stops all sending.", now.health.gate is not None)
    yield _gauge("fenced", "Whether the fence stops all sending.", now.health.fence is not None)
    yield _gauge("suppressed_contacts", "Suppressed contacts.", now.gauges["suppressed"])
    yield _gauge("templates_rejected", "Rejected template edits in Notion.", now.gauges["rejected"])


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"evergreen_{name}", help_text, value=value)


def _gauges(name: str, help_text: str, labels: Sequence[str], values: Numbers) -> Metric:
    return _filled(GaugeMetricFamily(f"evergreen_{name}", help_text, labels=labels), values)


def _counters(name: str, help_text: str, labels: Sequence[str], values: Numbers) -> Metric:
    return _filled(CounterMetricFamily(f"evergreen_{name}", help_text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Numbers) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def start(host: str, port: int, figures: Figures) -> None:
    """Serve Prometheus from a separate thread. If the port is taken, this is logged: metrics must not stop emails.

    Args:
        host: the address to listen on.
        port: the port; 0: none.
        figures: the metrics to serve.
    """
    if not port:
        return
    registry = CollectorRegistry()
    registry.register(figures)
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        _logger.error("metrics.not_shown", port=port, why=error.strerror, fix="set METRICS_PORT to a free port")
