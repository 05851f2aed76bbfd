"""Resend as it is: an email arrives there as it was sent, and the same key twice is one email."""

from __future__ import annotations

import time
from typing import Any

import resend

from tests.live.conftest import WITHIN, Mail


def request(mail: Mail, subject: str) -> dict[str, Any]:
    """An email that says what it is."""
    text = "This is a test of Evergreen's live mode (make test-live). Nothing needs to be done."
    tags = [{"name": "email_id", "value": subject.rpartition(" ")[2]}]
    return {
        "from": mail.sender,
        "to": [mail.recipient],
        "subject": subject,
        "text": text,
        "html": f"<p>{text}</p>",
        "tags": tags,
    }


def test_an_email_is_sent_once_and_can_be_read_back(mail: Mail, marked: str) -> None:
    """The same request with the same key gets the same id; Resend has one email of it, with our words."""
    email = request(mail, f"[Evergreen test] {marked}")
    [first], [again] = (mail.ask(lambda: mail.provider.send(email, key=marked)).ids for _ in range(2))
    assert first == again
    kept: Any = _read(first)
    assert (kept["to"], kept["subject"]) == ([mail.recipient], email["subject"])
    assert email["text"] in kept["text"] and email["html"] in kept["html"]
    deadline = time.monotonic() + WITHIN
    while not (listed := _listed(mail, email["subject"])) and time.monotonic() < deadline:
        time.sleep(1)
    assert listed == [first]


def _read(id: str) -> Any:
    """An email by its id; Resend may take a moment to know it."""
    deadline = time.monotonic() + WITHIN
    while True:
        time.sleep(1)  # not faster than the rate that every account has
        try:
            return resend.Emails.get(id)
        except resend.exceptions.ResendError as error:
            if str(error.code) not in ("404", "429") or time.monotonic() > deadline:
                raise


def _listed(mail: Mail, subject: str) -> list[str]:
    entries, _ = mail.ask(mail.provider.listed)
    return [entry.id for entry in entries if entry.subject == subject]
