"""The local stack's own secrets: created once, in files that only their owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from shared.core.settings import Settings

STANDARD_WEBHOOKS = ("RESEND_WEBHOOK_SECRET",)  # https://www.standardwebhooks.com: whsec_ and the key in base64


def _new(name: str) -> str:
    return (
        f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        if name in STANDARD_WEBHOOKS
        else secrets.token_hex(32)
    )


def write_settings(directory: Path, environ: Mapping[str, str]) -> None:
    """Store the settings of a stack where the command line finds them.

    Args:
        directory: the stack's.
        environ: the environment of its parts.
    """
    names = {name.upper() for name in Settings.model_fields}
    lines = [
        f"{name}='{_escaped(value)}'\n"
        for name, value in sorted(environ.items())
        if name.removesuffix("_FILE") in names
    ]
    path = directory / "settings.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(lines)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def kept(directory: Path, name: str) -> str:
    """The secret with this name; created if missing.

    Args:
        directory: the folder of secrets; created if missing.
        name: the name of a setting, such as INTERNAL_TOKEN; the file is named like a deployment's secret,
            internal-token.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / name.lower().replace("_", "-")
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_new(name))
        unfinished.rename(path)
    return path.read_text(encoding="utf-8").strip()
