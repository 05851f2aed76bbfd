"""The two users of the workspace: the person who owns it, and the integration
(https://developers.notion.com/reference/user)."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Evergreen"
BOT = "6f0dd2a9-9d5f-4f0c-8d0d-3b0c6f6f7a01"
PERSON = "2d1b6c5e-7f0e-4f3b-9a44-5a1f1b7a9c02"
WORKSPACE = "c3a0b7d4-90b1-4c53-8a57-0f4f2a6d5e03"


def users() -> list[dict[str, Any]]:
    """The person who owns the workspace, and the integration."""
    person = {"email": "owner@example.org", "email_verified": True}
    bot = {
        "owner": {"type": "workspace", "workspace": True},
        "workspace_name": "Evergreen's sandbox",
        "workspace_id": WORKSPACE,
        "workspace_limits": {"max_file_upload_size_in_bytes": 5242880},
    }
    return [
        {"object": "user", "id": PERSON, "name": "The owner", "avatar_url": None, "type": "person", "person": person},
        {"object": "user", "id": BOT, "name": INTEGRATION, "avatar_url": None, "type": "bot", "bot": bot},
    ]


def partial(user: str) -> dict[str, str]:
    """A user as other objects name it."""
    return {"object": "user", "id": user}
