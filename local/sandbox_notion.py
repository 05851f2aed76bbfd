"""Connects the stack to the sandbox's Notion: the settings, and the ids of databases that only a running sandbox
knows."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

from local.ports import HOST

DATABASES = {  # setting → its name in the sandbox
    "NOTION_BUSINESSX_DB_ID": "contacts",
    "NOTION_EMAIL_SEQUENCE_DB_ID": "tracker",
    "NOTION_EMAIL_LOG_DB_ID": "email_log",
    "NOTION_TEMPLATES_DB_ID": "templates",
}


def settings(directory: Path, url: str) -> dict[str, str]:
    """The settings of the sandbox's Notion; each id is read from a file, which is empty until `seed`.

    Args:
        directory: the stack's.
        url: the sandbox's.
    """
    return {
        "NOTION_TOKEN": "ntn_sandbox",
        "NOTION_API_URL": f"{url}/notion",
        **{f"{setting}_FILE": str(_id_file(directory, setting)) for setting in DATABASES},
    }


def seed(directory: Path, port: int) -> bool:
    """Set up the sandbox's Notion like an owner's, and store the ids for the parts that start after it.

    Args:
        directory: the stack's.
        port: the sandbox's.

    Returns:
        Whether the sandbox responded.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(
            "POST", "/notion/seed", json.dumps({"layout": "evergreen"}), {"Content-Type": "application/json"}
        )
        made = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    for setting, name in DATABASES.items():
        _id_file(directory, setting).write_text(made[name]["database_id"])
    return True


def _id_file(directory: Path, setting: str) -> Path:
    file = (directory / "notion" / setting.lower()).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file
