"""Where to meet, as Cal.com posts it: the host's own links and words, and never a booker's link."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import calendar_samples
from tests.support.calcom_bodies import read

PAGE = f"https://cal.com/video/{calendar_samples.UID}"
MEET, TEAMS = "integrations:google:meet", "integrations:office365_video"
ROOM, OTHER_ROOM = "https://meet.google.com/abc-defg-hij", "https://meet.google.com/new-defg-hij"
TEAMS_CALL = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Y2@thread.v2/0?context=%7b%7d"
ZOOM = "https://us05web.zoom.us/j/123?pwd=a.b"
BAD = "https://bad.example.org/"


def chosen(kind: str, typed: object = "") -> dict[str, Any]:
    """The booker's answer to where to meet: a kind of place, and what they typed for it."""
    return {"location": {"label": "location", "value": {"value": kind, "optionValue": typed}}}


def place(**change: Any) -> str | None:
    """Where to meet, according to a booking that differs in some fields."""
    posted = calendar_samples.calcom_created()
    posted["payload"] |= change
    return read(posted).values.get("meeting_place")


@pytest.mark.parametrize(
    "told",
    [
        None,
        "https://video.example.org/theirs",
        "https://bad.example.org/",
        f"https://bad.example.org/video/{calendar_samples.UID}",
        f"{PAGE}?next=https://bad.example.org/",
        ROOM,
        "javascript:alert(1)",
        "https://[::1",
    ],
)
def test_the_video_apps_own_link_counts(told: str | None) -> None:
    """What a booker put into the booking page's address as `metadata`, also on the same host."""
    assert place(metadata={"videoCallUrl": told}) == "https://video.example.org/room"


@pytest.mark.parametrize("page", [PAGE, f"https://app.cal.com/video/{calendar_samples.UID}"])
def test_cal_videos_page_counts_before_its_room(page: str) -> None:
    """Cal.com's own page for this very meeting leads to the room, with the waiting list and the recording."""
    assert place(metadata={"videoCallUrl": page}) == page


@pytest.mark.parametrize(
    ("app", "link"),
    [
        (MEET, ROOM),
        (TEAMS, TEAMS_CALL),
        (TEAMS, "https://teams.live.com/meet/9312?p=Ab1"),
    ],
)
def test_a_link_that_only_metadata_has(app: str, link: str) -> None:
    """Cal.com names the link of a new Google Meet or Teams call nowhere else."""
    assert place(location=app, videoCallData=None, metadata={"videoCallUrl": link}) == link


@pytest.mark.parametrize(
    ("app", "link"),
    [
        ("integrations:daily", ROOM),
        ("1 King St.", ROOM),
        (MEET, TEAMS_CALL),
        (MEET, f"{ROOM}/../evil"),
        (MEET, f"{ROOM}?authuser=https://bad.example.org"),
        (MEET, "https://meet.google.com.bad.example.org/abc-defg-hij"),
        (MEET, "https://meet.google.com@bad.example.org/abc-defg-hij"),
        (MEET, "http://meet.google.com/abc-defg-hij"),
        (TEAMS, "https://teams.microsoft.com/l/app/bad"),
        (TEAMS, ROOM),
        ("integrations:zoom", ZOOM),
        ("integrations:bad", "https://bad.example.org/zoom"),
    ],
)
def test_no_other_link_counts_from_metadata(app: str, link: str) -> None:
    """Only a room of the app that the booking is on, in the form that the app gives it."""
    assert place(location=app, videoCallData=None, metadata={"videoCallUrl": link}) in (None, "1 King St.")


@pytest.mark.parametrize("location", ["integrations:zoom", ZOOM])
def test_a_zoom_call(location: str) -> None:
    """Cal.com writes the video app's link, after a reschedule as the location, too."""
    video = {"type": "zoom_video", "url": ZOOM}
    assert place(location=location, videoCallData=video, metadata={"videoCallUrl": ZOOM}) == ZOOM
    assert place(location=location, videoCallData=video, metadata={"videoCallUrl": f"{ZOOM}&x=1"}) == ZOOM


@pytest.mark.parametrize("kind", ["link", "conferencing", "integrations:whereby_video"])
def test_the_hosts_own_link_counts(kind: str) -> None:
    """If the booker only chose the kind of place, Cal.com put in what the host entered for it."""
    link = "https://meet.example.org/us"
    assert place(location=link, responses=chosen(kind), videoCallData=None, metadata={}) == link


@pytest.mark.parametrize(
    "responses",
    [
        None,
        {},
        {"location": {"value": "link"}},
        {"location": "link"},
        chosen("link", BAD),
        chosen("link", [BAD]),
        chosen("integrations:zoom", {"x": BAD}),
        chosen(BAD),
        chosen("attendeeInPerson", BAD),
        chosen("somewhereElse", BAD),
        chosen("phone"),
    ],
)
def test_a_bookers_link_is_no_place(responses: Any) -> None:
    """The attendee's address, phone number or other place is theirs to type, and no link of theirs is shown."""
    assert place(location=BAD, responses=responses, videoCallData=None, metadata={}) is None


@pytest.mark.parametrize(
    "location",
    [
        "win at www.bad.example.org",
        "bad\u3002example/login",
        "bad\uff0eexample",
        "bad.example",
        "b\u00adad.com",
        "bad\u2060.com",
        "bad .com",
        "bad[.]example",
        "hTTps\uff1a//bad",
        "me@bad.example",
        "192.0.2.7/login",
        {"value": "here"},
        "integrations:daily",
    ],
)
def test_a_place_with_a_link_in_it_is_none(location: Any) -> None:
    """In no disguise; nor is an app's code a place."""
    assert place(location=location, videoCallData=None, metadata=None) is None


@pytest.mark.parametrize(
    "location", ["1 King St. W., Toronto", "St.Catharines, 2nd floor", "Cafe @ 5 Main St.", "+1 555 0100", "駅前"]
)
def test_a_place_in_words(location: str) -> None:
    """An address or a telephone number is shown as it was written, in one line."""
    assert place(location=location.replace(" ", "  "), videoCallData=5, metadata=[]) == location


@pytest.mark.parametrize(
    ("told", "place"), [(OTHER_ROOM, OTHER_ROOM), ("https://bad.example.org/room", ROOM), (f"{OTHER_ROOM}?x=1", ROOM)]
)
def test_the_newer_room_counts_after_a_reschedule(told: str, place: str) -> None:
    """Cal.com names the old room as the video app's and the new one in `metadata`, where only a room of that app
    counts."""
    posted = calendar_samples.calcom_rescheduled("old")
    posted["payload"] |= {
        "location": MEET,
        "videoCallData": {"type": "google_meet_video", "url": ROOM},
        "metadata": {"videoCallUrl": told},
    }
    assert read(posted).values["meeting_place"] == place
