"""`evergreen forget|export|import|suppress|unsuppress`, on a real ledger and the sandbox's Notion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
import requests
from redis import Redis

from local import valkey
from shared.core.errors import SendError
from shared.core.settings import Settings
from shared.domain.forms import MeetingEvent
from shared.domain.states import Outcome
from shared.intake import meetings
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Ending
from shared.ledger.pacing import Pacer
from shared.notion.recorder import Recorder
from shared.operations import privacy
from tests.conftest import Clock
from tests.support import patience
from tests.support.commanding import Commands
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN
from tests.support.world import ADA, World

ADDRESS, BOB = str(ADA["email"]), "bob@example.org"
CONTACT = ids.digest(ADDRESS)
SOURCES = {
    "contacts": "notion_businessx_db_id",
    "tracker": "notion_email_sequence_db_id",
    "email_log": "notion_email_log_db_id",
}


@pytest.fixture
def evergreen(valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """The command line, on the test's Valkey and without Notion."""
    return Commands(monkeypatch, tmp_path, valkey_server)


def in_notion(world: World, box: Sandbox) -> tuple[Settings, Notion, Recorder, dict[str, Any]]:
    """A Notion workspace next to the world."""
    made = box.seed()
    databases = {setting: made[name]["database_id"] for name, setting in SOURCES.items()}
    settings = world.settings.model_copy(update=databases)
    pacer = Pacer(world.ledger, "notion", 10_000, sleep=lambda _: None)
    notion = patience.notion(box, pacer.wait)
    return settings, notion, Recorder(world.ledger, world.sender.catalog, settings, notion, pacer), made


def rows(box: Sandbox, made: dict[str, Any]) -> list[str]:
    """The addresses in the rows that are not in the trash."""
    pages = box.get("/notion.json")
    return sorted(
        page["properties"]["Email"] for name in SOURCES for page in pages[made[name]["name"]] if not page["in_trash"]
    )


def everything(redis: Redis) -> dict[str, str]:
    """All that Redis holds, each key with its content as text."""
    readers: dict[str, Callable[[str], Any]] = {
        "hash": redis.hgetall,
        "string": redis.get,
        "set": redis.smembers,
        "list": lambda key: redis.lrange(key, 0, -1),
        "zset": lambda key: redis.zrange(key, 0, -1),
    }
    return {key: str(readers[str(redis.type(key))](key)) for key in cast(Iterator[str], redis.scan_iter("*"))}


def traces(redis: Redis, *, of: str = ADDRESS) -> set[str]:
    """The keys that belong to a person."""
    words = (of, ids.digest(of), "Ada")
    return {key for key, content in everything(redis).items() if any(word in key + content for word in words)}


def book(world: World) -> None:
    """Ada books a meeting in three days."""
    now = world.clock.now
    event = MeetingEvent("booked", "key", "uid", now, starts=now + 3 * 86_400_000, contact={"email": ADDRESS})
    meetings.report(event, trigger="calcom-booking", intake=world.intake)


class TestForget:
    """Erasing a person."""

    def test_only_what_must_be_kept_is_left(self, world: World) -> None:
        """Runs, reminders, jobs, frozen requests and notes are gone; other people are untouched and get every email."""
        book(world)
        run = world.sign_up()
        other = world.sign_up(email=BOB, first_name="Bob")
        world.provider.faults.append(SendError("ambiguous", "no answer"))
        world.work()
        assert world.redis.exists(f"eg:frozen:{run}-1") == 1
        done = privacy.forget(ADDRESS.upper(), world.ledger, world.settings, None)
        assert (done.erased.enrollments, done.erased.requests, done.erased.meetings) == (2, 1, 1)
        assert traces(world.redis) == {"eg:runs"}
        assert ADDRESS not in str(everything(world.redis))
        world.live(300)
        assert world.provider.email_ids == [f"{other}-{number}" for number in range(1, 8)]

    def test_it_can_be_repeated(self, world: World) -> None:
        """The second time finds nothing."""
        world.sign_up()
        privacy.forget(ADDRESS, world.ledger, world.settings, None)
        again = privacy.forget(ADDRESS, world.ledger, world.settings, None).erased
        assert (again.enrollments, again.requests, again.notes, again.meetings) == (0, 0, 0, 0)

    @pytest.mark.parametrize("reason", ["bounced", "complained", "manual", "unsubscribed"])
    def test_suppression_stays(self, world: World, reason: str) -> None:
        """A suppression outlives the person's record, and so does the mark that they had a run."""
        run = world.sign_up()
        world.ledger.suppress(CONTACT, reason)
        privacy.forget(ADDRESS, world.ledger, world.settings, None)
        assert set(world.redis.hgetall(ids.contact_key(CONTACT))) == {reason}
        assert world.redis.zscore("eg:suppressed", CONTACT) is not None
        world.sign_up(email=ADDRESS, red_systems=3)
        assert world.ledger.enrollment(run) is None
        world.live(300)
        assert world.provider.accepted == []

    def test_a_tracked_person(self, world: World) -> None:
        """A person who was never enrolled is found, too."""
        world.ledger.suppress(CONTACT, "manual")
        world.sign_up()
        assert privacy.forget(ADDRESS, world.ledger, world.settings, None).erased.enrollments == 1
        assert not [key for key in traces(world.redis) if key.startswith("eg:enrollment")]

    def test_while_an_email_is_being_sent(self, world: World) -> None:
        """The worker that holds the step must not post, and a late answer brings nothing back."""
        run = world.sign_up()
        world.release()
        claimed = {"token": "t", "late": {"christmas": 86_400_000}, "rate": 1000}
        world.ledger.claim(run, 1, **claimed)  # type: ignore[arg-type]  # the arguments of claim, by name
        privacy.forget(ADDRESS, world.ledger, world.settings, None)
        assert not world.ledger.post([f"{run}-1"], token="t", request=f"{run}-1", body="{}", spare=1)
        world.ledger.settle([f"{run}-1"], Ending(Outcome.ACCEPTED, ids=["id-0"]), token="t")
        assert traces(world.redis) == {"eg:runs"}

    def test_other_people_in_an_unsettled_batch_are_in_doubt(self, ledger: Ledger, clock: Clock) -> None:
        """Their emails may have been accepted and can no longer be repeated: they are visibly in doubt, and no one gets
        two."""
        world = World(ledger, clock, World(ledger, clock).settings.model_copy(update={"resend_batch_above": 1}))
        runs = [world.sign_up(email=f"c{number}@example.org") for number in range(3)]
        world.provider.faults.append("lost")
        world.release()
        assert world.sender.send(*(world.next_job() or ("", 0))).result == "parked"
        privacy.forget("c1@example.org", world.ledger, world.settings, None)
        world.live(2)
        assert [world.run(runs[number]).step(1).state for number in (0, 2)] == ["in-doubt", "in-doubt"]
        assert world.provider.twice == []

    def test_rows_in_notion_are_trashed(self, world: World, box: Sandbox) -> None:
        """Contact, tracker and log rows, also one that the ledger does not know; no other person's."""
        settings, notion, recorder, made = in_notion(world, box)
        world.sign_up()
        world.sign_up(email=BOB)
        world.work()
        recorder.drain(WITHIN)
        notion.create(
            next(iter(notion.data_sources(settings.notion_businessx_db_id))),
            {"Email": ADDRESS, "Name": "Ada, an older row"},
        )
        assert rows(box, made) == [ADDRESS] * 4 + [BOB] * 3
        done = privacy.forget(ADDRESS, world.ledger, settings, notion)
        assert (done.pages, done.left) == (4, privacy.BY_HAND)
        assert rows(box, made) == [BOB] * 3
        recorder.drain(WITHIN)
        assert rows(box, made) == [BOB] * 3

    def test_notion_unavailable(self, world: World, box: Sandbox) -> None:
        """Redis is erased all the same, and each remaining page is named; running it again later trashes the rows."""
        settings, notion, recorder, made = in_notion(world, box)
        world.sign_up()
        world.work()
        recorder.drain(WITHIN)
        box.fault("status", provider="notion", status=503, count=50)
        done = privacy.forget(ADDRESS, world.ledger, settings, notion)
        assert done.pages == 0 and done.erased.enrollments == 1
        assert len([sentence for sentence in done.left if "https://www.notion.so/" in sentence]) == 3
        requests.delete(f"{box.url}/faults", timeout=WITHIN).raise_for_status()
        assert privacy.forget(ADDRESS, world.ledger, settings, notion).pages == 3
        assert rows(box, made) == []

    def test_the_command_asks_first(self, evergreen: Any, redis: Redis) -> None:
        """A `no` changes nothing; `--yes` does not ask, and what you must still do manually is named."""
        World(Ledger(redis), Clock()).sign_up()
        assert evergreen("forget", ADDRESS, answer="n\n").exit_code == 1
        assert redis.exists(ids.contact_key(CONTACT))
        done = evergreen("forget", ADDRESS, "--yes")
        assert done.exit_code == 0 and "enrollments 1" in done.output and "Resend keeps its own log" in done.output
        assert json.loads(evergreen("forget", ADDRESS, "--yes", "--json").stdout)["erased"]["enrollments"] == 0
        assert not redis.exists(ids.contact_key(CONTACT))


class TestExport:
    """What a person may read of their own data."""

    def test_everything_held_is_exported(self, evergreen: Any, redis: Redis, world: World) -> None:
        """Contact, consent, suppression, each run with each email and its outcome, and meetings, with readable
        dates."""
        run = world.sign_up(consent=True, consent_text="Write to me")
        world.work()
        book(world)
        redis.hset(ids.enrollment_key(run), "1.opened", str(world.clock.now))
        world.ledger.suppress(CONTACT, "unsubscribed")
        held = json.loads(evergreen("export", ADDRESS.upper()).stdout)
        assert (held["contact"]["email"], held["contact"]["red_systems"]) == (ADDRESS, "2")
        assert held["consent"]["at"].startswith("2027-01-15T08:00:00") and held["consent"]["text"] == "Write to me"
        assert held["suppression"].keys() == {"unsubscribed"}
        christmas = next(each for each in held["enrollments"] if each["id"] == run)
        assert (christmas["slug"], christmas["state"], len(christmas["emails"])) == ("christmas", "exited", 7)
        first = christmas["emails"][0]
        assert (first["number"], first["state"], first["id"]) == (1, "sent", "id-0")
        assert first["sent"].startswith("2027-") and first["opened"].startswith("2027-")
        assert len(held["meetings"]) == 1 and held["meetings"][0]["starts"].startswith("2027-01-18")
        assert "lease" not in first and held["exported_at"].startswith("20")

    def test_an_unknown_person(self, evergreen: Any) -> None:
        """An unknown person gets a sentence, or null, and exit status 1."""
        assert "nothing is stored" in evergreen("export", ADDRESS).output
        done = evergreen("export", ADDRESS, "--json")
        assert (done.exit_code, json.loads(done.stdout)) == (1, None)


class TestSuppress:
    """The operator suppresses and unsuppresses."""

    def test_an_address_is_suppressed_and_unsuppressed(self, evergreen: Any, redis: Redis) -> None:
        """Suppressed, listed, and unblocked again."""
        done = evergreen("suppress", ADDRESS, "--json")
        assert (done.exit_code, json.loads(done.stdout)) == (1, {"email": ADDRESS, "ended": 0, "known": False})
        (listed,) = json.loads(evergreen("suppress", "--list", "--json").stdout)
        assert (listed["contact"], listed["email"], list(listed["reasons"])) == (CONTACT, None, ["manual"])
        assert CONTACT in evergreen("suppress", "--list").output
        assert "Unblocked. Removed: manual" in evergreen("unsuppress", ADDRESS).output
        again = evergreen("unsuppress", ADDRESS)
        assert (again.exit_code, "was not suppressed" in again.output) == (1, True)
        assert "No address is suppressed" in evergreen("suppress", "--list").output

    def test_no_one_is_known(self, evergreen: Any, world: World) -> None:
        """It is suppressed, and said that no one with this address has come."""
        done = evergreen("suppress", "mai@example.org")
        assert (done.exit_code, "No one with this address is known here" in done.output) == (1, True)
        world.sign_up(email="mai@example.org")
        assert "was" not in (known := evergreen("suppress", "mai@example.org")).output and known.exit_code == 0

    def test_an_unsubscribe(self, evergreen: Any, redis: Redis) -> None:
        """It is refused without the person's consent; a bounce is suppressed at Resend, too."""
        ledger = Ledger(redis)
        for reason in ("unsubscribed", "bounced"):
            ledger.suppress(CONTACT, reason)
        refused = evergreen("unsuppress", ADDRESS)
        assert refused.exit_code == 1 and "--i-have-their-consent" in refused.output
        lifted = evergreen("unsuppress", ADDRESS, "--i-have-their-consent")
        assert "Unblocked. Removed: bounced, unsubscribed." in lifted.output and "Resend" in lifted.output

    @pytest.mark.parametrize(
        "arguments",
        [
            ("suppress",),
            ("suppress", ADDRESS, "--list"),
            *(
                (command, "a@example.org, b@example.org")
                for command in ("suppress", "forget", "export", "show", "pause")
            ),
            ("suppress", "no-address"),
            ("forget", "x"),
            ("forget", "", "--yes"),
        ],
    )
    def test_usage(self, evergreen: Any, arguments: tuple[str, ...]) -> None:
        """Invalid arguments are exit status 2."""
        assert evergreen(*arguments).exit_code == 2

    def test_redis_unavailable(self, evergreen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """One sentence, no traceback."""
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
        done = evergreen("suppress", "--list")
        assert (done.exit_code, "Redis does not answer" in done.output) == (1, True)


SPELLINGS = (
    "Mia Marsh <mia@käse.example.org>",
    "<MIA@käse.example.org>",
    "mailto:mia@k%C3%A4se.example.org?subject=Hello",
    "mia@käse.example.org\u200b",
    "mia@xn--kse-qla.example.org",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestSpellings:
    """A person is found however the address is written."""

    @pytest.fixture
    def mia(self, world: World) -> str:
        """Her run."""
        return world.sign_up(email="mia@käse.example.org")

    def test_to_show_and_steer(self, evergreen: Any, mia: str, spelling: str) -> None:
        """Her run is shown, paused and cancelled."""
        assert json.loads(evergreen("show", spelling, "--json").stdout)[0]["id"] == mia
        assert json.loads(evergreen("pause", spelling, "--json").stdout)[0]["state"] == "paused"

    def test_to_stop(self, evergreen: Any, world: World, mia: str, spelling: str) -> None:
        """Her run ends, and the block can be taken back."""
        done = evergreen("suppress", spelling)
        assert (done.exit_code, "Enrollments ended: 1." in done.output) == (0, True)
        assert world.run(mia).state == "exited"
        assert "Removed: manual" in evergreen("unsuppress", spelling).output

    def test_to_export_and_forget(self, evergreen: Any, world: World, mia: str, spelling: str) -> None:
        """What is stored is printed, then erased; then there is no one but the block, and it says so."""
        world.ledger.suppress(ids.digest("mia@käse.example.org"), "manual")
        assert json.loads(evergreen("export", spelling).stdout)["contact"]["email"] == "mia@käse.example.org"
        done = evergreen("forget", spelling, "--yes")
        assert (done.exit_code, "enrollments 1" in done.output) == (0, True)
        assert world.ledger.enrollment(mia) is None
        assert json.loads(evergreen("forget", spelling, "--yes", "--json").stdout)["found"] is False
        assert "manual" in json.loads(evergreen("export", spelling).stdout)["suppression"]
        evergreen("unsuppress", spelling)
        for command in (("forget", spelling, "--yes"), ("export", spelling), ("show", spelling), ("pause", spelling)):
            again = evergreen(*command)
            assert (again.exit_code, "this address" in again.output) == (1, True), again.output


class TestImport:
    """A file of people."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Two good lines, and a bad one."""
        file = tmp_path / "people.csv"
        file.write_text(
            "email;name;consent;Shoe size\na@example.org;Ann;yes;39\nb;Bob;yes;\nc@example.org;Cy;no;\n",
            encoding="utf-8-sig",
        )
        return file

    def test_it_is_a_dry_run_by_default(self, evergreen: Any, redis: Redis, file: Path) -> None:
        """It says what would happen to how many, then to which lines and why, and nothing is changed."""
        done = evergreen("import", str(file), "--trigger", "christmas-assessment")
        assert done.exit_code == 1
        assert "Read as UTF-8, separated by semicolons." in done.output
        assert "Ignored columns: shoe_size" in done.output and "--apply" in done.output
        assert "With --apply: 1 enrolled, 1 only stored, 1 refused." in done.output
        reasons = [line.split()[:3] for line in done.output[done.output.index("Why") :].splitlines()]
        assert ["3", "email", "refused"] in reasons and ["4", "consent", "stored"] in reasons
        assert redis.keys("eg:contact:*") == []

    def test_apply(self, evergreen: Any, redis: Redis, file: Path) -> None:
        """The person who agreed is enrolled, the other one is only stored, and the output says so."""
        done = evergreen("import", str(file), "--trigger", "christmas-assessment", "--apply", "--json")
        said = json.loads(done.stdout)
        assert (said["applied"], said["people"], [fault["line"] for fault in said["faults"]]) == (True, 2, [3])
        assert [note["line"] for note in said["notes"]] == [4]
        assert said["counts"] == {"enrolled": 1, "stored": 1, "refused": 1}
        assert len(redis.keys("eg:contact:*")) == 2
        assert [key.split("-")[0] for key in cast(list[str], redis.keys("eg:enrollment:*"))] == ["eg:enrollment:five"]

    def test_consent_is_asked_for(self, evergreen: Any, redis: Redis, tmp_path: Path) -> None:
        """A file without the column enrolls no one, unless the operator can show the consent."""
        file = tmp_path / "people.csv"
        file.write_text("email\na@example.org\n")
        refused = evergreen("import", str(file), "--trigger", "christmas-assessment", "--apply")
        assert (refused.exit_code, "--consent-on-file" in refused.output) == (2, True)
        assert redis.keys("eg:contact:*") == []
        done = evergreen("import", str(file), "--trigger", "christmas-assessment", "--apply", "--consent-on-file")
        assert done.exit_code == 0 and "Imported: 1 enrolled." in done.output
        assert len(redis.keys("eg:enrollment:*")) == 1

    def test_people_of_another_tool(self, evergreen: Any, tmp_path: Path) -> None:
        """Suppressed ones are no fault, and no trigger is needed; a date counts where the business is, and an encoding
        that is only assumed is named."""
        file = tmp_path / "people.csv"
        file.write_bytes("email,name,status\na@example.org,Zo\xeb,cleaned\n".encode("cp1252"))
        done = evergreen("import", str(file), "--apply")
        assert (done.exit_code, "Imported: 1 suppressed." in done.output) == (0, True)
        assert "Read as Windows-1252 (assumed, as it is not UTF-8)" in done.output
        assert [list(each["reasons"]) for each in evergreen.json("suppress", "--list")] == [["bounced"]]
        evergreen.set(BUSINESS_TIMEZONE="Pacific/Kiritimati")
        start = datetime.now(ZoneInfo("Pacific/Kiritimati")).date() - timedelta(days=30)
        file.write_text(f"email,start\nb@example.org,{start}\n")
        assert "more than 30 days ago" in evergreen("import", str(file)).output

    @pytest.mark.parametrize("applying", [[], ["--apply"]])
    def test_nothing_is_imported(self, evergreen: Any, tmp_path: Path, applying: list[str]) -> None:
        """It never says that it was; and of many reasons the first ones are listed."""
        file = tmp_path / "people.csv"
        file.write_text("email,status\n" + "".join(f"n{number}@example.org,pending\n" for number in range(25)))
        done = evergreen("import", str(file), *applying)
        assert done.exit_code == 1 and "Imported" not in done.output and "25 refused" in done.output
        assert "n24" not in done.output and "and 5 more" in done.output
        file.write_text("email\n")
        done = evergreen("import", str(file), *applying)
        assert (done.exit_code, "Nothing w" in done.output, "Imported" in done.output) == (0, True, False)
