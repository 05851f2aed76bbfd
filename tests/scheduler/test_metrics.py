"""The figures for Prometheus, made by real sign-ups and a provider that fails on demand."""

from __future__ import annotations

import json
import re
import socket
from typing import Any
from urllib.request import urlopen

import pytest
import structlog
import yaml
from prometheus_client import CollectorRegistry
from redis import Redis

from scheduler import metrics
from shared.core.errors import SendError
from shared.core.stack_file import ROOT
from shared.domain.states import Outcome
from shared.intake.delivery_events import receive
from shared.integrations.resend_events import DeliveryEvent, What
from shared.ledger import ids, limits
from shared.ledger.client import Ledger
from shared.ledger.health import SAMPLE
from shared.ledger.orders import Ending
from tests.support.own_port import own_port
from tests.support.world import World

GRAFANA = ROOT / "deploy" / "grafana"


class TestCounting:
    """What the ledger counts where an email settles."""

    @pytest.mark.parametrize(
        ("late_ms", "bucket"),
        [
            (0, "1"),
            (1_000, "1"),
            (1_001, "5"),
            (59_999, "60"),
            (60_001, "300"),
            (3_600_000, "3600"),
            (80_000_000, "86400"),
            (90_000_000, "+Inf"),
        ],
    )
    def test_lateness(self, world: World, late_ms: int, bucket: str) -> None:
        """From due to accepted, in the bucket up to whose end it reaches."""
        world.sign_up()
        world.clock.advance(ms=late_ms)
        world.release()
        job = world.next_job()
        assert job
        world.ledger.claim(*job, token="t", late={})
        world.ledger.settle([f"{job[0]}-{job[1]}"], Ending(Outcome.ACCEPTED, ids=["id"]), token="t")
        assert world.redis.hgetall("eg:lateness") == {bucket: "1", "sum": str(late_ms)}

    def test_a_report_that_comes_before_the_answer(self, world: World) -> None:
        """Resend's webhook may be sooner than its answer to the request: the email counts, at the time in the
        webhook."""
        run = world.sign_up()
        world.clock.advance(seconds=2)
        world.ledger.claim(run, 1, token="t", late={})
        assert world.ledger.post([f"{run}-1"], token="t", request=f"{run}-1", body="{}", spare=1)
        sent = world.clock.now
        receive(
            DeliveryEvent("1", "delivered", at=sent, sent=sent, address="ada@example.org", email_id=f"{run}-1"),
            world.ledger,
        )
        assert world.states(run)[0] == "sent"
        world.clock.advance(seconds=30)
        world.ledger.settle([f"{run}-1"], Ending(Outcome.ACCEPTED, ids=["id"]), token="t")
        assert world.redis.hgetall("eg:lateness") == {"5": "1", "sum": "2000"}

    def test_an_email_sent_early_is_not_late(self, world: World) -> None:
        """A person's `send now` counts as on time."""
        run = world.sign_up()
        world.work()
        world.ledger.hurry(run, 2)
        world.work()
        assert world.redis.hgetall("eg:lateness") == {"1": "2", "sum": "0"}

    def test_outcomes(self, world: World) -> None:
        """Each email of each request by its outcome, and each request that the provider's rate limit refused."""
        world.provider.faults.extend(
            [SendError("rate", "too many", retry_after=2), SendError("ambiguous", "no answer"), "none"]
        )
        world.sign_up()
        world.work()
        world.live(1)
        assert world.redis.hgetall("eg:counts") == {"held": "1", "waiting": "1", "ambiguous": "1", "accepted": "1"}


def figures(world: World) -> CollectorRegistry:
    """What a scrape would find."""
    registry = CollectorRegistry()
    registry.register(metrics.Figures(world.ledger, world.sender.catalog.campaigns))
    return registry


def value(world: World, name: str, **labels: str) -> float | None:
    """One figure."""
    return figures(world).get_sample_value(f"evergreen_{name}", labels)


def names(world: World) -> set[str]:
    """Every figure that can be asked for, as Prometheus names it."""
    return {sample.name for family in figures(world).collect() for sample in family.samples}


class TestMetrics:
    """What Prometheus gets."""

    def test_a_campaign(self, world: World) -> None:
        """Who enrolled, what became of each email, and in which state the runs are."""
        first, _ = world.sign_up(), world.sign_up(email="grace@example.org")
        world.work()
        world.ledger.skip(first, 2, "by hand")
        world.provider.faults.append(SendError("refused", "no such mailbox"))
        world.live(73)
        assert value(world, "enrollments_total", campaign="christmas") == 2
        assert value(world, "runs", campaign="christmas", state="active") == 2
        found = {
            result: value(world, "emails_total", campaign="christmas", result=result) for result in metrics.RESULTS
        }
        assert found == {"sent": 4, "skipped": 1, "failed": 1, "in-doubt": 0, "cancelled": 0}
        assert value(world, "emails_total", campaign="busos", result="sent") == 0, (
            "a counter that begins at nothing can rise"
        )

    def test_what_resend_reported(self, world: World) -> None:
        """Bounces and complaints by campaign, and how many are suppressed for it."""
        run = world.sign_up()
        world.work()
        reported: tuple[What, ...] = ("delivered", "complained")
        for what in reported:
            receive(
                DeliveryEvent(what, what, at=world.clock.now, address="ada@example.org", email_id=f"{run}-1"),
                world.ledger,
            )
        found = {
            event: value(world, "email_events_total", campaign="christmas", event=event) for event in metrics.EVENTS
        }
        assert found == {"delivered": 1, "opened": 0, "clicked": 0, "bounced": 0, "complained": 1}
        assert value(world, "suppressed_contacts") == 1
        assert value(world, "emails_total", campaign="christmas", result="cancelled") == 6

    def test_lateness_is_a_histogram(self, world: World) -> None:
        """Each bucket holds those before it, as Prometheus wants it, and the sum is in seconds."""
        world.sign_up()
        world.work()
        world.clock.advance(hours=24, seconds=90)
        world.work()
        found = {
            end: value(world, "lateness_seconds_bucket", le=end if end == "+Inf" else f"{end}")
            for end in metrics.LATENESS
        }
        assert found == {end: 1 if end in ("1", "5", "15", "60") else 2 for end in metrics.LATENESS}
        assert (value(world, "lateness_seconds_sum"), value(world, "lateness_seconds_count")) == (90, 2)

    def test_the_exporter_knows_every_bucket_of_the_ledger(self) -> None:
        """A bucket that one of them does not know would be lost."""
        script = (ROOT / "shared" / "ledger" / "scripts" / "settle.lua").read_text()
        found = re.search(r"LATENESS = \{(.+?)\}", script)
        assert found and [*found[1].split(", "), "+Inf"] == [*metrics.LATENESS]

    def test_attempts(self, world: World) -> None:
        """What did not go through at once, and what the provider's rate limit refused."""
        world.provider.faults.extend(
            [SendError("rate", "too many", retry_after=2), SendError("ambiguous", "no answer")]
        )
        world.sign_up()
        world.live(1)
        assert [
            value(world, "attempts_total", outcome=outcome)
            for outcome in ("waiting", "ambiguous", "accepted", "conflict")
        ] == [
            1,
            1,
            1,
            0,
        ]
        assert value(world, "rate_limited_total") == 1

    def test_emails_on_no_list(self, world: World) -> None:
        """Of a small ledger, all of it."""
        run = world.sign_up()
        assert value(world, "unlisted_steps") == 0
        world.redis.zrem(ids.OPEN, f"{run}-1", f"{run}-5")
        assert value(world, "unlisted_steps") == 2

    def test_the_backlog(self, world: World) -> None:
        """What waits, where, and how late the oldest is."""
        world.sign_up()
        assert (value(world, "queue_jobs", queue="send"), value(world, "scheduled"), value(world, "open_steps")) == (
            1,
            6,
            7,
        )
        assert (value(world, "late_steps"), value(world, "overdue_seconds")) == (0, 0)
        world.redis.delete(ids.QUEUE)
        world.clock.advance(seconds=45 + 61)
        assert (value(world, "late_steps"), value(world, "overdue_seconds")) == (1, 61)
        assert value(world, "outbox") == 2
        assert [value(world, "workers", queue=queue) for queue in ("send", "record", "notify")] == [0, 0, 0]

    def test_what_needs_attention(self, world: World) -> None:
        """Rejected templates, alerts that could not be sent, failed jobs."""
        world.redis.hset("eg:templates:rejected", "christmas/christmas_email_1", "no subject")
        world.redis.zadd("rq:failed:send", {"x": 1})
        world.ledger.alert("closed", "key")
        assert (
            value(world, "templates_rejected"),
            value(world, "failed_jobs", queue="send"),
            value(world, "notices"),
        ) == (1, 1, 1)

    def test_forms_taken_for_a_robots(self, world: World) -> None:
        """How many had the hidden field filled in, by form."""
        assert value(world, "honeypot_total", form="signup") is None
        for form in ("signup", "signup", "assessment"):
            limits.trapped(world.ledger, form)
        assert [value(world, "honeypot_total", form=form) for form in ("signup", "assessment")] == [2, 1]

    def test_signs_of_life(self, world: World) -> None:
        """The age of the scheduler's tick, unknown before its first; the gate; the fence."""
        assert value(world, "scheduler_tick_age_seconds") is None
        world.release()
        world.clock.advance(seconds=40)
        assert value(world, "scheduler_tick_age_seconds") == 40
        assert (value(world, "sending_stopped"), value(world, "fenced")) == (0, 0)
        world.redis.hset(ids.GATE, "reason", "stopped manually")
        world.redis.hset(ids.FENCE, mapping={"on": "1", "server": "another"})
        assert (value(world, "sending_stopped"), value(world, "fenced")) == (1, 1)

    def test_no_metric_names_a_person(self, world: World) -> None:
        """Labels are campaigns, states, queues and outcomes: no address, and nothing that stands for one."""
        world.sign_up()
        world.work()
        told = [
            label
            for family in figures(world).collect()
            for sample in family.samples
            for label in sample.labels.values()
        ]
        assert not [label for label in told if "@" in label or re.search(r"[0-9a-f]{20}", label)]

    def test_while_redis_is_unavailable(self) -> None:
        """The scrape says so, and nothing stale."""
        with Redis(port=1, socket_connect_timeout=1, decode_responses=True) as nobody:
            registry = CollectorRegistry()
            registry.register(metrics.Figures(Ledger(nobody), ["christmas"]))
            assert [(s.name, s.value) for family in registry.collect() for s in family.samples] == [
                ("evergreen_redis_up", 0)
            ]

    def test_a_scrape_costs_the_same_with_many_enrolled(self, world: World) -> None:
        """It reads counts, and of the things that are counted no more than health's sample."""

        def commands() -> int:
            before: Any = world.redis.info("stats")
            names(world)
            after: Any = world.redis.info("stats")
            return int(after["total_commands_processed"] - before["total_commands_processed"])

        for number in range(SAMPLE):
            world.sign_up(email=f"visitor{number}@example.org")
        few = commands()
        assert few < 500
        for number in range(20):
            world.sign_up(email=f"another{number}@example.org")
        assert commands() == few


class TestServer:
    """The port."""

    def test_prometheus_is_answered(self, world: World) -> None:
        """In its text format."""
        with own_port() as port:
            metrics.start("127.0.0.1", port, metrics.Figures(world.ledger, ["christmas"]))
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                text = answer.read().decode()
        assert "# TYPE evergreen_lateness_seconds histogram\n" in text
        assert 'evergreen_enrollments_total{campaign="christmas"} 0.0\n' in text

    def test_a_port_in_use_stops_no_email(self, world: World) -> None:
        """The log says so, with what to do."""
        with socket.create_server(("127.0.0.1", 0)) as taken, structlog.testing.capture_logs() as logs:
            metrics.start("127.0.0.1", taken.getsockname()[1], metrics.Figures(world.ledger, []))
        assert [(entry["event"], entry["fix"]) for entry in logs] == [
            ("metrics.not_shown", "set METRICS_PORT to a free port")
        ]

    def test_port_0_turns_it_off(self, world: World) -> None:
        """Port 0 turns it off."""
        with structlog.testing.capture_logs() as logs:
            metrics.start("no such host", 0, metrics.Figures(world.ledger, []))
        assert logs == []


class TestDocuments:
    """The documents, the dashboard and the alerts know the same metrics."""

    def test_every_metric_is_documented(self, world: World) -> None:
        """And none that does not exist."""
        world.release()
        families = {family.name + ("_total" if family.type == "counter" else "") for family in figures(world).collect()}
        documented = re.findall(r"^\| `(evergreen_\w+)", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
        assert sorted(documented) == sorted(families)

    @pytest.mark.parametrize("file", ["dashboard.json", "alerts.yaml"])
    def test_grafana_uses_metrics_that_exist(self, world: World, file: str) -> None:
        """A metric that was renamed would leave a panel empty, or an alert silent."""
        world.release()
        asked = set(re.findall(r"evergreen_\w+", "\n".join(expressions(file))))
        assert asked and asked <= names(world)

    def test_every_label_that_grafana_names_exists(self, world: World) -> None:
        """`by (campaign)` of a metric without campaigns would be one number for all."""
        known = {"campaign", "result", "event", "state", "outcome", "queue", "le", "instance", "pod"}
        for file in ("dashboard.json", "alerts.yaml"):
            for expression in expressions(file):
                grouped = re.findall(r"(?:by|without) \(([^)]*)\)", expression)
                assert {label.strip() for group in grouped for label in group.split(",")} <= known, expression

    def test_the_panels_do_not_overlap(self) -> None:
        """Every panel has its own place on Grafana's grid of 24 columns, and its own id."""
        panels = json.loads((GRAFANA / "dashboard.json").read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in panels):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken and max(x for x, _ in cells) < 24
            taken |= cells

    def test_every_alert_can_fire(self) -> None:
        """Its condition is one of its own queries, which compares the one that asks Prometheus."""
        (group,) = yaml.safe_load((GRAFANA / "alerts.yaml").read_text())["groups"]
        assert len({rule["uid"] for rule in group["rules"]}) == len(group["rules"])
        for rule in group["rules"]:
            asked, compared = rule["data"]
            assert (compared["refId"], compared["datasourceUid"], compared["model"]["expression"]) == (
                rule["condition"],
                "__expr__",
                asked["refId"],
            )
            assert asked["model"]["instant"] and rule["annotations"]["summary"] and rule["for"]


def expressions(file: str) -> list[str]:
    """Every PromQL expression in a file for Grafana."""
    if file == "dashboard.json":
        panels = json.loads((GRAFANA / file).read_text())["panels"]
        return [target["expr"] for panel in panels for target in panel.get("targets", [])]
    groups = yaml.safe_load((GRAFANA / file).read_text())["groups"]
    return [
        query["model"]["expr"]
        for group in groups
        for rule in group["rules"]
        for query in rule["data"]
        if "expr" in query["model"]
    ]
