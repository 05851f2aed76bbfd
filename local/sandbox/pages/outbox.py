"""The outbox, for people: every accepted email in a list, and each one as a mail client shows it."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any, Literal

from flask import Blueprint, Response, abort, render_template, request, url_for

from local.sandbox.emails import Email, rfc3339
from local.sandbox.mailboxes import as_list
from local.sandbox.pages.preview import FRAME_POLICY, FRAME_SANDBOX, first_words, framed, has_remote_images
from local.sandbox.state import State

PAGE_SIZE = 50


Part = Literal["html", "text", "headers"]


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    id: str
    sender: str
    recipients: str
    subject: str
    preview: str
    received_at: str
    status: str


@dataclass(frozen=True)
class View:
    """How an email is looked at: which part, at which width, in which colors."""

    part: Part
    width: Literal["desktop", "phone"]
    scheme: Literal["light", "dark"]

    def query(self, **changes: str) -> dict[str, str]:
        """The query of a link to the same view with something changed."""
        return {"part": self.part, "width": self.width, "scheme": self.scheme} | changes


def _row(email: Email, now: float) -> Row:
    name, address = parseaddr(email.body.get("from", ""))
    return Row(
        id=email.id,
        sender=name or address or "(template's sender)",
        recipients=", ".join(email.mailboxes("to")),
        subject=email.body.get("subject") or "(no subject)",
        preview=first_words(email.body.get("text"), email.body.get("html")),
        received_at=rfc3339(email.received_at),
        status=email.last_event(now),
    )


def _view(email: Email) -> View:
    parts: dict[str | None, Part] = {"html": "html", "text": "text", "headers": "headers"}
    return View(
        part=parts.get(request.args.get("part"), "html" if email.body.get("html") else "text"),
        width="phone" if request.args.get("width") == "phone" else "desktop",
        scheme="dark" if request.args.get("scheme") == "dark" else "light",
    )


def _raw_headers(email: Email) -> list[tuple[str, str]]:
    fields = {"To": "to", "Cc": "cc", "Bcc": "bcc", "Reply-To": "reply_to"}
    addresses = [(name, ", ".join(email.mailboxes(field))) for name, field in fields.items()]
    own = [("From", str(email.body.get("from", ""))), *addresses, ("Subject", str(email.body.get("subject", "")))]
    return [(name, value) for name, value in own if value] + [
        ("Message-ID", email.message_id),
        *(email.body.get("headers") or {}).items(),
    ]


def _sandbox_facts(email: Email) -> list[tuple[str, str]]:
    facts = [
        ("Email ID", email.id),
        ("Idempotency key", email.idempotency_key or "none"),
        ("Accepted", rfc3339(email.received_at)),
    ]
    template = email.body.get("template")
    attachments = ", ".join(
        str(item.get("filename") or item.get("path") or "unnamed") for item in as_list(email.body.get("attachments"))
    )
    scheduled_at = str(email.body.get("scheduled_at") or "")
    extras = [
        ("Template", template["id"] if template else ""),
        ("Scheduled for", scheduled_at),
        ("Attachments", attachments),
    ]
    return facts + [(name, value) for name, value in extras if value]


def blueprint(state: State) -> Blueprint:
    """The outbox's pages.

    Args:
        state: the sandbox's parts.
    """
    pages = Blueprint("outbox", __name__)

    def found(email_id: str) -> Email:
        return state.store.email(email_id) or abort(404)

    @pages.get("/")
    def outbox() -> str:
        search = request.args.get("q", "").strip()
        before = request.args.get("before", type=int)
        emails = state.store.newest(PAGE_SIZE + 1, before=before, search=search)
        older = emails[PAGE_SIZE - 1].position if len(emails) > PAGE_SIZE else None
        now = state.store.clock()
        rows = [_row(email, now) for email in emails[:PAGE_SIZE]]
        return render_template(
            "outbox.html",
            rows=rows,
            refused=list(state.store.refused) if before is None and not search else [],
            rfc3339=rfc3339,
            count=state.store.count(),
            search=search,
            older=older,
            first_page=before is None,
        )

    @pages.get("/emails/<email_id>")
    def email(email_id: str) -> str:
        shown = found(email_id)
        older = state.store.newest(1, before=shown.position)
        newer = state.store.newest(1, after=shown.position)
        content: dict[str, Any] = {
            "email": shown,
            "row": _row(shown, state.store.clock()),
            "view": _view(shown),
            "headers": _raw_headers(shown),
            "facts": _sandbox_facts(shown),
            "tags": [(tag["name"], tag["value"]) for tag in as_list(shown.body.get("tags"))],
            "older": older[0].id if older else None,
            "newer": newer[0].id if newer else None,
            "frame_sandbox": FRAME_SANDBOX,
            "remote_images": has_remote_images(shown.body.get("html") or ""),
        }
        return render_template("email.html", **content)

    @pages.get("/emails/<email_id>/frame")
    def frame(email_id: str) -> Response:
        shown = found(email_id)
        response = Response(
            framed(shown.body.get("html") or "", _view(shown).scheme), content_type="text/html; charset=utf-8"
        )
        response.headers["Content-Security-Policy"] = FRAME_POLICY
        return response

    @pages.app_errorhandler(404)
    def not_found(_error: Exception) -> tuple[str, int]:
        return render_template("not_found.html", home=url_for("outbox.outbox")), 404

    return pages
