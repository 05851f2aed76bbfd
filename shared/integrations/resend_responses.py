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
from shared.domain.addresses import canonical
from shared.integrations.provider import Accepted, Listed, NotAccepted

# Codes after which nothing can be sent until a person fixes the setup (the sender is the same in every email); 404 and
# 405 mean that the address is not Resend's.
_CLOSED_STATUS = {401, 403, 404, 405}
_CLOSED_TYPES = {
    "missing_api_key",
    "invalid_api_key",
    "restricted_api_key",
    "suspended_api_key",
    "invalid_permission",
    "invalid_from_address",
}
_QUOTA_TYPES = {"daily_quota_exceeded", "monthly_quota_exceeded", "email_above_quota"}


def accepted(answer: Any) -> Accepted:
    """What the response to one email says; raises SendError `ambiguous` if it names no id."""
    return Accepted(_ids([answer]), *_rate_and_date(answer))


def accepted_batch(answer: Any, count: int) -> Accepted:
    """What the response to a batch says: `data` has an id for each accepted email, in their order, and `errors` the
    position and the error of each of the others.

    Args:
        answer: the response.
        count: the number of emails in the batch.

    Raises:
        SendError: `ambiguous` if it does not name an id for each accepted email, `conflict` if it is not about each
            email of the batch once, `closed` if the sender is refused.
    """
    said = answer if isinstance(answer, dict) else {}
    errors = _errors(said.get("errors") or [], count)
    ids = [] if errors and said.get("data") == [] else _ids(said.get("data"))
    if len(ids) + len(errors) != count:
        raise SendError("conflict", f"Resend answered for {len(ids) + len(errors)} of {count} emails")
    others = {at: _not_accepted(message) for at, message in errors.items()}
    if not ids and any(_refused(message) == "closed" for message in errors.values()):
        raise SendError("closed", others[0].reason)
    accepted_ids = iter(ids)
    every = ["" if at in others else next(accepted_ids) for at in range(count)]
    return Accepted(every, *_rate_and_date(said), others)


def _not_accepted(message: str) -> NotAccepted:
    return NotAccepted(f"Resend refuses it: {masked(message, 200)}", _refused(message) == "rejected")


def _errors(entries: Any, count: int) -> dict[int, str]:
    """The error of each email that was not accepted, by its position in the batch."""
    known = entries if isinstance(entries, list) else [None]
    named = [entry for entry in known if isinstance(entry, dict) and type(entry.get("index")) is int]
    errors = {entry["index"]: str(entry.get("message")) for entry in named if 0 <= entry["index"] < count}
    if len(errors) != len(known):
        raise SendError("conflict", "Resend's errors do not say which emails of the batch they are about")
    return errors


def _ids(entries: Any) -> list[str]:
    """The ids of accepted emails; even if the response is malformed, they may have been accepted."""
    known = entries if isinstance(entries, list) else []
    ids = [id for entry in known if (id := _id_of(entry))]
    if not ids or len(ids) != len(known):
        raise SendError("ambiguous", "Resend's answer names no email id")
    return ids


def _rate_and_date(answer: Mapping[str, Any]) -> tuple[float | None, int | None]:
    headers = {name.lower(): value for name, value in (answer.get("http_headers") or {}).items()}
    return _number(headers.get("ratelimit-limit")), date(headers)


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
    to = tuple(canonical(address) for address in entry["to"])
    at = round(datetime.fromisoformat(entry["created_at"]).timestamp() * 1000)
    return Listed(str(entry["id"]), to, str(entry["subject"]), at)


def refusal(status: int, code: str, message: str, headers: Mapping[str, str]) -> SendError:
    """Sort an error response by what is known: definitely not accepted, or possibly accepted."""
    reason = f"Resend answered {status} {code}: {masked(message, 200)}"
    retry_after = _number({name.lower(): value for name, value in headers.items()}.get("retry-after"))
    return SendError(_kind(status, code, message), reason, retry_after, date(headers))


def _kind(status: int, code: str, message: str) -> SendFault:
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
        return _refused(message)
    return "ambiguous"


def _refused(message: str) -> SendFault:
    """What a refusal is about, by the field that it names, as in "Invalid `to` field": the address, the sender (the
    same for every email, so nothing can be sent), or this email."""
    if "`from`" in message:
        return "closed"
    return "rejected" if "`to`" in message else "refused"


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
