"""What Discord requires of a message: https://discord.com/developers/docs/resources/webhook#execute-webhook."""

from __future__ import annotations

from typing import Any

CONTENT, EMBEDS, FIELDS, SUM = 2000, 10, 25, 6000
TEXTS = {("title",): 256, ("description",): 4096, ("footer", "text"): 2048, ("author", "name"): 256}
FIELD_TEXTS = {"name": 256, "value": 1024}
Errors = dict[str, Any]


def check(body: dict[str, Any]) -> Errors:
    """What Discord finds wrong with a message, as the `errors` of its response; empty if nothing is.

    Args:
        body: what was posted.
    """
    errors: Errors = {}
    _check_length(errors, "content", body.get("content"), CONTENT)
    embeds = body.get("embeds") or []
    if not isinstance(embeds, list) or len(embeds) > EMBEDS:
        return errors | {"embeds": _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS} or fewer in length.")}
    found = {str(index): wrong for index, embed in enumerate(embeds) if (wrong := _check_embed(embed))}
    if not found and sum(_size(embed) for embed in embeds) > SUM:
        found = _wrong("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {SUM}")
    return errors | ({"embeds": found} if found else {})


def _check_embed(embed: Any) -> Errors:
    if not isinstance(embed, dict):
        return _wrong("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    wrong = _check_fields(embed.get("fields") or [])
    return _check_texts(embed) | ({"fields": wrong} if wrong else {})


def _check_texts(embed: dict[str, Any]) -> Errors:
    errors: Errors = {}
    for path, limit in TEXTS.items():
        nested = len(path) > 1
        part = embed.get(path[0]) or {} if nested else embed
        found: Errors = {}
        _check_length(found, path[-1], part.get(path[-1]), limit)
        if found:
            errors |= {path[0]: found} if nested else found
    return errors


def _check_fields(fields: list[Any]) -> Errors:
    if len(fields) > FIELDS:
        return _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {FIELDS} or fewer in length.")
    return {str(index): found for index, field in enumerate(fields) if (found := _check_field(field))}


def _check_field(field: dict[str, Any]) -> Errors:
    errors: Errors = {}
    for name, limit in FIELD_TEXTS.items():
        if not str(field.get(name) or "").strip():
            errors[name] = _wrong("BASE_TYPE_REQUIRED", "This field is required")
        else:
            _check_length(errors, name, field[name], limit)
    return errors


def _check_length(errors: Errors, name: str, text: Any, limit: int) -> None:
    if text is not None and not isinstance(text, str):
        errors[name] = _wrong("STRING_TYPE_CONVERT", "Could not interpret value as string.")
    elif text and len(text) > limit:
        errors[name] = _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def _size(embed: dict[str, Any]) -> int:
    texts = [(embed.get(path[0]) or {}).get(path[1]) if len(path) == 2 else embed.get(path[0]) for path in TEXTS]
    texts += [field.get(name) for field in embed.get("fields") or [] for name in FIELD_TEXTS]
    return sum(len(text or "") for text in texts)


def _wrong(code: str, message: str) -> Errors:
    return {"_errors": [{"code": code, "message": message}]}
