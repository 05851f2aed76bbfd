"""One function's file as a WSGI app, through functions_framework; what that gets wrong is replaced here."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import flask
import functions_framework
from functions_framework.exceptions import InvalidTargetTypeException, MissingTargetException
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from shared.core.errors import SettingsError

READ_ON = 1 << 20  # bytes
# What functions_framework writes into the environment for the next call of create_app.
_LEFT_BEHIND = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")


class NoFunctionError(SettingsError):
    """The code that stack.yml or FUNCTION_SOURCE names does not exist."""


def function_app(source: Path, target: str) -> WSGIApplication:
    """One function, answering on every path.

    Args:
        source: the Python file.
        target: the name of the function in it, which takes a flask.Request.

    Raises:
        SettingsError: if the file or function does not exist, or lacks a setting.
    """
    if not source.is_file():
        raise NoFunctionError(
            f"there is no function at {source}. Correct FUNCTION_SOURCE: it names a file such as "
            "functions/health/main.py."
        )
    before = {name: os.environ.get(name) for name in _LEFT_BEHIND}
    try:
        # shipped without types
        app = functions_framework.create_app(target, str(source), "http")  # type: ignore[no-untyped-call]
    except (MissingTargetException, InvalidTargetTypeException) as error:
        raise NoFunctionError(f"{error}. Correct FUNCTION_TARGET.") from None
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    app.after_request_funcs[None] = [_read_on]  # replaces one that reads everything a caller sends into memory
    app.register_error_handler(HTTPException, _error_as_json)
    app.register_error_handler(500, _error_as_json)  # replaces one that returns the exception's text
    wsgi: WSGIApplication = app
    return wsgi


def _read_on(response: flask.Response) -> flask.Response:
    """Read the rest of the body, up to a limit: a caller that cannot send it all does not see the response."""
    with suppress(OSError, ParseException):  # the rest is malformed, or does not come
        for _ in range(READ_ON // 65536):
            if not flask.request.stream.read(65536):
                break
    return response


def _error_as_json(error: HTTPException) -> Any:
    response = error.get_response()
    response.data = json.dumps({"status": "error", "message": error.description})
    response.content_type = "application/json"
    return response
