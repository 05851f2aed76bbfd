"""What Resend requires of an email, from its OpenAPI file and its errors page
(https://resend.com/docs/api-reference/errors)."""

from __future__ import annotations

import re
from typing import Any

from local.sandbox.mailboxes import check_recipients, check_sender
from local.sandbox.refusal import Refusal
from local.sandbox.resend.answers import invalid, missing

MAX_BATCH = 100
MAX_ATTACHMENT_CHARS = 40 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


def check_email(email: Any) -> None:
    """Validate an email as Resend does.

    Args:
        email: the decoded JSON body.

    Raises:
        Refusal: naming the first error.
    """
    if not isinstance(email, dict):
        raise invalid("An email must be a JSON object.")
    has_template = email.get("template") is not None
    check_sender(email, required=not has_template)
    check_recipients(email)
    if not has_template and not email.get("subject"):
        raise missing("subject")
    if not _is_line(email.get("subject") or ""):
        raise invalid("Invalid `subject` field. It must be a string without line breaks.")
    _check_content(email, has_template)
    _check_headers(email.get("headers"))
    _check_tags(email.get("tags"))
    _check_attachments(email.get("attachments"))


def check_batch(emails: Any, permissive: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Validate a batch.

    Args:
        emails: the decoded JSON body.
        permissive: accept valid emails and report the others, instead of refusing the batch.

    Returns:
        The emails to accept, and `{"index", "message"}` for each of the others.

    Raises:
        Refusal: if the whole batch is refused.
    """
    if not isinstance(emails, list) or not 1 <= len(emails) <= MAX_BATCH:
        raise invalid(f"A batch must be a JSON array of 1 to {MAX_BATCH} emails.")
    good, errors = [], []
    for index, email in enumerate(emails):
        try:
            check_email(email)
            _check_batchable(email)
        except Refusal as refusal:
            if not permissive:
                raise
            errors.append({"index": index, "message": refusal.in_batch})
        else:
            good.append(email)
    return good, errors


def _check_batchable(email: dict[str, Any]) -> None:
    for field in ("attachments", "scheduled_at"):
        if email.get(field) is not None:
            raise invalid(f"The `{field}` field is not supported in a batch.")


def _check_content(email: dict[str, Any], has_template: bool) -> None:
    bodies = [field for field in ("html", "text") if email.get(field)]
    if has_template:
        _check_template(email["template"], bodies)
    elif not bodies:
        raise Refusal(422, "missing_required_field", "Missing `html` or `text` field.")
    for field in bodies:
        if not isinstance(email[field], str):
            raise invalid(f"Invalid `{field}` field. It must be a string.")


def _check_template(template: Any, bodies: list[str]) -> None:
    if bodies:
        raise invalid("An email with a `template` cannot have `html` or `text`.")
    if not (isinstance(template, dict) and isinstance(template.get("id"), str)):
        raise invalid("Invalid `template` field. It must be an object with an `id`.")


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and "\n" not in value and "\r" not in value


def _check_headers(headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, dict) or not all(_is_line(text) for pair in headers.items() for text in pair):
        raise invalid("Invalid `headers` field. It must be an object whose values are strings without line breaks.")


def _check_tags(tags: Any) -> None:
    if tags is None:
        return
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise invalid("Invalid `tags` field. It must be a list of objects with `name` and `value`.")
    for tag in tags:
        for part in ("name", "value"):
            if not isinstance(tag.get(part), str) or not _TAG.fullmatch(tag[part]):
                raise invalid(
                    "Tags must have a `name` and a `value` of 1 to 256 ASCII letters, digits, underscores or dashes."
                )


def _is_attachment(item: Any) -> bool:
    return isinstance(item, dict) and bool(item.get("content") or item.get("path"))


def _check_attachments(attachments: Any) -> None:
    if attachments is None:
        return
    if not isinstance(attachments, list) or not all(_is_attachment(item) for item in attachments):
        raise Refusal(422, "invalid_attachment", "Each attachment must have a `content` or a `path`.")
    if sum(len(item["content"]) for item in attachments if item.get("content")) > MAX_ATTACHMENT_CHARS:
        raise Refusal(422, "invalid_attachment", "The attachments are larger than 40 MB.")
