"""What each of Resend's responses means: what was accepted or sent, or what can be done about a refusal.

Resend's own error codes: https://resend.com/docs/api-reference/errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from shared.core.errors import SendError, SendFault, masked
from shared.integrations.provider import Accepted, Listed

# Codes after which nothing can be sent until a person fixes the setup; 404 and 405 mean that the address is not
# Resend's.
_CLOSED_STATUS = {401, 403, 404, 405}
_CLOSED_TYPES = {"missing_api_key", "invalid_api_key", "restricted_api_key", "suspended_api_key", "invalid_permission"}
_QUOTA_TYPES = {"daily_quota_exceeded", "monthly_quota_exceeded", "email_above_quota"}


def accepted(answer: Any) -> Accepted:
    """What the response to one email says; raises SendError `ambiguous` if it names no id."""
    return _accepted(answer, [answer])


def accepted_batch(answer: Any, count: int) -> Accepted:
    """What the response to a batch says.

    Args:
        answer: the response.
        count: the number of emails in the batch.

    Raises:
        SendError: `ambiguous` if it does not name an id for each, `conflict` if it is about another number of emails.
    """
    found = _accepted(answer, answer.get("data") if isinstance(answer, dict) else None)
    if len(found.ids) != count:
        raise SendError("conflict", f"Resend answered for {len(found.ids)} of {count} emails")
    return found


def _accepted(answer: Any, entries: Any) -> Accepted:
    """Read the ids and the rate; even if the response is malformed, the email may have been accepted."""
    known = entries if isinstance(entries, list) else []
    ids = [id for entry in known if (id := _id_of(entry))]
    if not ids or len(ids) != len(known):
        raise SendError("ambiguous", "Resend's answer names no email id")
    headers = {name.lower(): value for name, value in (answer.get("http_headers") or {}).items()}
    return Accepted(ids, _number(headers.get("ratelimit-limit")), date(headers))


def _id_of(entry: Any) -> str | None:
    found = entry.get("id") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def sent_emails(answer: Any) -> tuple[list[Listed], bool]:
    """A page of the list of sent emails, and whether there are older ones; raises SendError if it cannot be read."""
    try:
        return [_listed(entry) for entry in answer["data"]], bool(answer["has_more"])
    except (KeyError, TypeError, ValueError):
        raise SendError("ambiguous", "Resend's list cannot be read") from None


def _listed(entry: Mapping[str, Any]) -> Listed:
    to = tuple(address.rpartition("<")[2].rstrip("> ").strip().lower() for address in entry["to"])
    at = round(datetime.fromisoformat(entry["created_at"]).timestamp() * 1000)
    return Listed(str(entry["id"]), to, str(entry["subject"]), at)


def refusal(status: int, code: str, message: str, headers: Mapping[str, str]) -> SendError:
    """Sort an error response by what is known: definitely not accepted, or possibly accepted."""
    reason = f"Resend answered {status} {code}: {masked(message, 200)}"
    retry_after = _number({name.lower(): value for name, value in headers.items()}.get("retry-after"))
    return SendError(_kind(status, code), reason, retry_after, date(headers))


def _kind(status: int, code: str) -> SendFault:
    if code in _QUOTA_TYPES:
        return "quota"
    if status in _CLOSED_STATUS or code in _CLOSED_TYPES:
        return "closed"
    if code == "concurrent_idempotent_requests":
        return "busy"
    if code == "invalid_idempotent_request":
        return "conflict"
    if status == 429:
        return "rate"
    if code == "resource_locked":
        return "wait"
    if 400 <= status < 500 and status not in (408, 499):
        return "refused"
    return "ambiguous"


def date(headers: Mapping[str, str]) -> int | None:
    """The header Date (https://www.rfc-editor.org/rfc/rfc9110#field.date), in milliseconds since 1970 UTC."""
    text = {name.lower(): value for name, value in headers.items()}.get("date", "")
    try:
        parsed = parsedate_to_datetime(text)
        return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
