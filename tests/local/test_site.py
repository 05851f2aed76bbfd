"""The demo website as its server sees it: pages, and the demo-only endpoints that prove what they post."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from local import gateway, secrets, site
from shared.core.stack_file import ROOT
from shared.emails.colors import contrast
from shared.integrations import calcom as reader
from tests.support.site_server import CALCOM_SECRET, OPERATOR_TOKEN, Webhooks, place, settings

BOOKING = {
    "action": "book",
    "email": "ada@example.org",
    "name": "Ada",
    "timezone": "America/Toronto",
    "starts_at": "2026-12-03T10:00:00-05:00",
}
STYLES = (ROOT / "local" / "site" / "static" / "site.css").read_text(encoding="utf-8")
SAMPLES = {
    "book": "booking_created",
    "reschedule": "booking_rescheduled",
    "cancel": "booking_cancelled",
    "no-show": "booking_no_show_updated_marked",
}


@pytest.fixture
def webhooks() -> Webhooks:
    """What the demo posts to."""
    return Webhooks()


@pytest.fixture
def client(tmp_path: Path, webhooks: Webhooks) -> FlaskClient:
    """A visitor of the site of a stack with the sandbox."""
    where = place(tmp_path)
    return site.create(settings(where), where, webhooks.app).test_client()


def test_the_widget_is_the_one_that_was_looked_at() -> None:
    """Its files are those of the release that altcha/README.md names, and their licence comes with them."""
    folder = ROOT / "local" / "site" / "static" / "altcha"
    listed = re.findall(
        r"^\| (\S+) \| dist/\S+ \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in listed} == {path.name for path in folder.glob("*.js")}
    for name, digest in listed:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (folder / "LICENSE.txt").read_text()


def test_forms_bring_a_challenge_where_there_is_a_key(tmp_path: Path, webhooks: Webhooks) -> None:
    """Those of visitors, and neither the operator's nor the calendar's."""
    where = place(tmp_path)
    with_key = site.create(settings(where, challenge_key="a-key-7e4a1c9d5b2f8063"), where, webhooks.app).test_client()
    without = site.create(settings(where), where, webhooks.app).test_client()
    for path in site.PAGES:
        forms = re.findall(r"<form[^>]*data-evergreen[^>]*>", with_key.get(path).get_data(as_text=True))
        for form in forms:
            assert (" data-challenge" in form) is ("/webhook/" in form), form
        assert "data-challenge" not in without.get(path).get_data(as_text=True)


def book(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """Do something in the calendar; returns the response that the page gets."""
    answer = client.post("/demo/calcom", json={**BOOKING, **changes}, base_url="http://127.0.0.1:18080")
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.get_json()
    return told


class TestPages:
    """What a visitor gets."""

    @pytest.mark.parametrize("path", site.PAGES)
    def test_a_page_is_complete_and_runs_nothing_inline(self, client: FlaskClient, path: str) -> None:
        """It has one heading per view, a title and a language, says what it needs, and obeys its own content policy."""
        answer = client.get(path)
        page = answer.get_data(as_text=True)
        assert answer.status_code == 200
        assert (
            '<html lang="en">' in page
            and "<noscript>" in page
            and re.search(r"<title>\w.+ · Northside Operations</title>", page)
        )
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("path", site.PAGES)
    def test_links_lead_somewhere(self, client: FlaskClient, path: str) -> None:
        """Each address of the site itself exists; /health is the functions' own."""
        for address in set(re.findall(r'(?:href|src)="(/[^"#]*)', client.get(path).get_data(as_text=True))) - {
            "/health"
        }:
            assert client.get(address).status_code == 200, address

    def test_an_unknown_page_says_so(self, client: FlaskClient) -> None:
        """A mistyped address gets a page with a way back."""
        answer = client.get("/no-such-page")
        assert (answer.status_code, 'href="/"' in answer.get_data(as_text=True)) == (404, True)

    @pytest.mark.parametrize("path", site.PAGES)
    def test_every_field_has_its_label_and_no_id_comes_twice(self, client: FlaskClient, path: str) -> None:
        """A screen reader can say what each field is for."""
        page = client.get(path).get_data(as_text=True)
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        labels = set(re.findall(r'<label for="([^"]+)"', page))
        assert {id for id in re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', page)} <= labels
        assert page.count('<form data-evergreen="/webhook') <= page.count(
            'name="fax_number" type="text" tabindex="-1" autocomplete="off"'
        )

    @pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
    @pytest.mark.parametrize("ink", ["ink", "quiet", "green", "red", "orange", "yellow"])
    def test_text_is_readable(self, scheme: int, ink: str) -> None:
        """Every color that text has reaches the contrast of WCAG AA on every background that it is on."""
        colors = dict(re.findall(r"--([\w-]+): (#\w+)", re.findall(r":root \{(.+?)\}", STYLES, re.DOTALL)[scheme]))
        full = {
            name: value if len(value) == 7 else "#" + "".join(2 * letter for letter in value[1:])
            for name, value in colors.items()
        }
        assert all(contrast(full[ink], full[ground]) >= 4.5 for ground in ("ground", "paper"))
        assert all(contrast(full["ink"], full[ground]) >= 4.5 for ground in ("hover", "demo"))
        assert contrast(full["on-green"], full["green"]) >= 4.5 and contrast(full["demo-ink"], full["demo"]) >= 4.5

    def test_the_script_stays_small(self) -> None:
        """An owner can read what is pasted, and it needs nothing else."""
        script = (ROOT / "local" / "site" / "static" / "evergreen.js").read_text(encoding="utf-8")
        assert script.count("\n") < 240
        assert not re.search(r"\b(import|require|eval|innerHTML)\b", script)


class TestGateway:
    """Who answers what."""

    @pytest.mark.parametrize(
        "path", ["/webhook/signup", "/function/signup", "/health", "/unsubscribe", "/console", "/console/enrollments"]
    )
    def test_the_functions_keep_their_urls(self, path: str) -> None:
        """The website never answers for a function."""
        assert Client(gateway.with_site(_says(b"function"), _says(b"site"))).get(path).get_data() == b"function"

    @pytest.mark.parametrize("path", ["/", "/assessment", "/healthy", "/static/site.css", "/demo/calcom", "/webhooks"])
    def test_the_site_serves_the_rest(self, path: str) -> None:
        """Only a whole word of the path makes it a function's."""
        assert Client(gateway.with_site(_says(b"function"), _says(b"site"))).get(path).get_data() == b"site"


def _says(text: bytes) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [text]

    return app


class TestCalcom:
    """What Cal.com would post."""

    def test_the_raw_bytes_are_signed(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """The signature is the hex HMAC-SHA256 of the raw body with the stack's secret."""
        book(client)
        [sent] = webhooks.received
        assert sent.name == "calcom-booking"
        assert (
            sent.headers["X-Cal-Signature-256"]
            == hmac.new(CALCOM_SECRET.encode(), sent.data, hashlib.sha256).hexdigest()
        )

    def test_a_booking_is_moved_cancelled_and_missed(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """The events of one call refer to each other as Cal.com's do."""
        first = book(client)["booking"]
        moved = book(
            client,
            action="reschedule",
            uid=first["uid"],
            previous_start=first["starts_at"],
            starts_at="2026-12-04T10:00:00-05:00",
        )["booking"]
        book(client, action="cancel", uid=moved["uid"], starts_at=moved["starts_at"])
        book(client, action="no-show", uid=moved["uid"], starts_at=moved["starts_at"])
        created, rescheduled, cancelled, missed = (one.body for one in webhooks.received)
        assert (
            created["triggerEvent"] == "BOOKING_CREATED"
            and created["payload"]["startTime"] == "2026-12-03T15:00:00.000Z"
        )
        assert rescheduled["payload"]["rescheduleUid"] == created["payload"]["uid"] != rescheduled["payload"]["uid"]
        assert rescheduled["payload"]["rescheduleStartTime"] == created["payload"]["startTime"]
        assert (cancelled["triggerEvent"], cancelled["payload"]["uid"]) == ("BOOKING_CANCELLED", moved["uid"])
        assert missed["payload"]["bookingUid"] == moved["uid"]
        assert missed["payload"]["attendees"] == [{"email": "ada@example.org", "noShow": True}]

    def test_two_people_share_a_slot_with_seats(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """Under one uid; who gives the seat back, or moves it, names only their own."""
        seat = {"kind": "workshop"}
        ada = book(client, **seat)["booking"]
        bob = book(client, **seat, email="bob@example.org")["booking"]
        assert ada["uid"] == bob["uid"] and ada["kind"] == "workshop"
        later = {"starts_at": "2026-12-04T10:00:00-05:00", "previous_start": bob["starts_at"]}
        moved = book(client, **seat, action="reschedule", uid=bob["uid"], email="bob@example.org", **later)["booking"]
        cy = book(client, **seat, email="cy@example.org", starts_at=later["starts_at"])["booking"]
        assert cy["uid"] == moved["uid"]
        book(client, **seat, action="cancel", uid=ada["uid"])
        read = [event for sent in webhooks.received for event in reader.events(sent.data, 0).events]
        assert [(event.what, event.uid, event.replaces, event.contact["email"]) for event in read] == [
            ("booked", ada["uid"], None, "ada@example.org"),
            ("booked", ada["uid"], None, "bob@example.org"),
            ("booked", moved["uid"], ada["uid"], "bob@example.org"),
            ("booked", moved["uid"], None, "cy@example.org"),
            ("cancelled", ada["uid"], None, "ada@example.org"),
        ]
        assert all(event.seated for event in read)

    def test_a_series_is_booked_date_by_date_and_cancelled_at_once(
        self, client: FlaskClient, webhooks: Webhooks
    ) -> None:
        """Three weeks, each with a uid of its own; one date may be cancelled alone."""
        first = book(client, kind="coaching")["booking"]
        for action in ("cancel", "cancel-all"):
            book(client, kind="coaching", action=action, uid=first["uid"])
        *booked, alone, rest = (reader.events(sent.data, 0).events[0] for sent in webhooks.received)
        starts = tuple(event.starts for event in booked)
        assert len({event.uid for event in booked}) == 3 and booked[0].uid == alone.uid == rest.uid == first["uid"]
        assert starts == tuple((starts[0] or 0) + week * 7 * 24 * 3_600_000 for week in range(3))
        assert {event.series for event in (*booked, rest)} == {"4109"}
        assert (alone.series, alone.dates, rest.dates) == (None, (), starts)

    def test_a_series_stops_where_the_webhook_refuses(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """The page then tries all of it again, under the same key."""
        webhooks.refuse_with = 503
        answer = client.post("/demo/calcom", json=BOOKING | {"kind": "coaching"}, base_url="http://127.0.0.1")
        assert (answer.status_code, len(webhooks.received)) == (503, 1)

    def test_a_repeated_request_books_once(self, client: FlaskClient) -> None:
        """The same Idempotency-Key gets the same booking; another gets another."""
        uids = [
            client.post(
                "/demo/calcom", json=BOOKING, headers={"Idempotency-Key": key}, base_url="http://localhost"
            ).get_json()["booking"]["uid"]
            for key in ("one", "one", "two")
        ]
        assert uids[0] == uids[1] != uids[2]

    def test_the_webhooks_response_is_passed_on(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """A refusal keeps its status and its Retry-After, so that the page can act on it."""
        webhooks.refuse_with = 503
        answer = client.post("/demo/calcom", json=BOOKING, base_url="http://127.0.0.1")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"email": "nobody"}, "email"),
            ({"starts_at": "soon"}, "starts_at"),
            ({"action": "cancel"}, "uid"),
            ({"action": "reschedule"}, "uid"),
        ],
    )
    def test_an_error_names_its_field(
        self, client: FlaskClient, webhooks: Webhooks, changes: dict[str, str], field: str
    ) -> None:
        """The page can mark it; nothing is posted."""
        answer = client.post("/demo/calcom", json={**BOOKING, **changes}, base_url="http://127.0.0.1")
        assert (answer.status_code, answer.get_json()["detail"][0]["loc"], webhooks.received) == (422, [field], [])

    @pytest.mark.parametrize("action", SAMPLES)
    def test_it_has_the_shape_of_a_real_event(self, client: FlaskClient, action: str) -> None:
        """Every key that is posted is one that Cal.com posts with that event, with a value of the same type."""
        if not (directory := os.environ.get("CONTRACTS_DIR")):
            pytest.skip("CONTRACTS_DIR names no folder of samples")
        sample = json.loads(
            (Path(directory) / "samples" / "calcom" / f"{SAMPLES[action]}.json").read_text(encoding="utf-8")
        )
        uid = "a" * 22
        posted = book(client, action=action, uid=uid, previous_start=BOOKING["starts_at"])["posted"]
        assert posted["triggerEvent"] == sample["triggerEvent"]
        for key, value in posted["payload"].items():
            assert isinstance(sample["payload"][key], type(value)), key
        assert set(posted["payload"]["attendees"][0]) <= set(sample["payload"]["attendees"][0])


class TestProofs:
    """Which requests get a proof added."""

    @pytest.mark.parametrize("name", ["postcall-maybe", "onboarding-start", "calendly-noshow"])
    def test_the_operators_token_is_added_here(self, client: FlaskClient, webhooks: Webhooks, name: str) -> None:
        """The webhook gets the JSON as it was typed, with the token; no page ever holds the token."""
        assert (
            client.post(
                f"/demo/operator/{name}", json={"email": "ada@example.org"}, base_url="http://127.0.0.1"
            ).status_code
            == 202
        )
        [sent] = webhooks.received
        assert (sent.name, sent.body) == (name, {"email": "ada@example.org"})
        assert sent.headers["Authorization"] == f"Bearer {OPERATOR_TOKEN}"
        assert not any(
            secret in client.get(path).get_data(as_text=True)
            for path in site.PAGES
            for secret in (OPERATOR_TOKEN, CALCOM_SECRET)
        )

    def test_the_token_opens_no_other_function(self, client: FlaskClient, webhooks: Webhooks) -> None:
        """The token goes to the operator's webhooks only."""
        assert client.post("/demo/operator/send-email", json={}, base_url="http://127.0.0.1").status_code == 404
        assert webhooks.received == []

    @pytest.mark.parametrize(
        ("base", "headers"),
        [
            ("http://tunnel.example.org", {}),
            ("http://127.0.0.1.example.org", {}),
            ("http://127.0.0.1", {"Sec-Fetch-Site": "cross-site"}),
        ],
    )
    def test_strangers_are_refused(
        self, client: FlaskClient, webhooks: Webhooks, base: str, headers: dict[str, str]
    ) -> None:
        """Neither a visitor through a tunnel nor another page in the same browser."""
        assert client.post("/demo/calcom", json=BOOKING, base_url=base, headers=headers).status_code == 403
        assert client.post("/demo/operator/postcall-maybe", json={}, base_url=base, headers=headers).status_code == 403
        assert webhooks.received == []

    def test_a_real_secret_is_never_used(self, tmp_path: Path, webhooks: Webhooks) -> None:
        """With a real provider and the owner's own secrets the endpoints do not exist, and the pages say so."""
        where = place(tmp_path)
        client = site.create(
            settings(where, resend_api_url="https://api.resend.com"), where, webhooks.app
        ).test_client()
        assert client.post("/demo/calcom", json=BOOKING, base_url="http://127.0.0.1").status_code == 404
        assert client.post("/demo/operator/postcall-maybe", json={}, base_url="http://127.0.0.1").status_code == 404
        assert "turned off" in client.get("/book").get_data(as_text=True)
        assert "turned off" in client.get("/operator").get_data(as_text=True)

    def test_a_generated_secret_may_be_used(self, tmp_path: Path, webhooks: Webhooks) -> None:
        """It guards nothing but this machine."""
        where = place(tmp_path)
        made = secrets.kept(where.directory / "secrets", "CALCOM_WEBHOOK_SECRET")
        own = settings(where, resend_api_url="https://api.resend.com", calcom_webhook_secret=made)
        assert "booking" in book(site.create(own, where, webhooks.app).test_client())
