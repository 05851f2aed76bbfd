"""The campaigns that are measured: the bundled Christmas emails with other delays, so that a benchmark decides what is
due when.

`email_1_sent_at` is the anchor, so a form can say to the millisecond when its emails are due.
"""

from __future__ import annotations

from pathlib import Path

from shared.domain.campaign_files import CAMPAIGNS

STEPS = 7
GAP = 4  # seconds between the emails of one customer in `spread`
TRIGGERS = {"burst": "assessment", "spread": "christmas-signup", "once": "christmas-assessment", "later": "signup"}
_DELAYS = {
    "burst": ["0s"] * STEPS,  # all at the anchor
    "spread": [f"{GAP * number}s" for number in range(STEPS)],
    "once": ["0s"],
    "later": [f"{24 * number}h" for number in range(1, STEPS + 1)],  # nothing today
}


def write(folder: Path) -> Path:
    """Write them.

    Args:
        folder: where to; made here.

    Returns:
        That folder, for CAMPAIGNS_DIR.
    """
    text = (CAMPAIGNS / "christmas" / "christmas_email_1.md").read_text(encoding="utf-8")
    for slug, delays in _DELAYS.items():
        (folder / slug).mkdir(parents=True, exist_ok=True)
        (folder / slug / "email.md").write_text(text, encoding="utf-8")
        steps = "".join(
            f"  - {{number: {number}, after: {delay}, template: email}}\n" for number, delay in enumerate(delays, 1)
        )
        head = (
            f"slug: {slug}\nname: {slug.title()}\ntrigger: {TRIGGERS[slug]}\nlate: {{after: 12h, policy: "
            "send}\nsteps:\n"
        )
        (folder / slug / "campaign.yaml").write_text(head + steps, encoding="utf-8")
    return folder
