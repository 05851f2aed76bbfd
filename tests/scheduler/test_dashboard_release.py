"""What Evergreen takes for granted of rq-dashboard: raise its version, and these tests say what it no longer has."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import rq_dashboard.web as web  # type: ignore[import-untyped]  # shipped without types

from scheduler.dashboard import NOT_OFFERED, REPLACED, REWRITTEN
from scheduler.dashboard_guards import DATA, PAGES, SHOWN

FOLDER = Path(web.__file__).parent
CODE = (FOLDER / "web.py").read_text(encoding="utf-8")
TEMPLATES = "\n".join(file.read_text(encoding="utf-8") for file in sorted((FOLDER / "templates").rglob("*.html")))
BROKEN = (
    f"rq-dashboard {version('rq-dashboard')} has changed: {{}}. Adapt scheduler/dashboard.py or dashboard_guards.py"
)


def endpoints() -> set[str]:
    """The names under which it answers."""
    return set(re.findall(r"^@blueprint\.route\((?:.|\n)*?^def (\w+)\(", CODE, re.M))


@pytest.mark.parametrize("name", [*REPLACED, "serialize_job"])
def test_it_has_each_name_that_is_replaced_or_called(name: str) -> None:
    """As a name of its module that its own code uses."""
    assert len(re.findall(rf"\b{name}\b", CODE)) > 1, BROKEN.format(f"its module web no longer uses {name}")


def test_its_serializer_can_be_set() -> None:
    """Else it would unpickle what it finds."""
    assert "serializer=config.serializer" in CODE, BROKEN.format(
        "web.config.serializer no longer says how jobs are read"
    )


def test_it_finds_its_connection_in_the_app() -> None:
    """One for all requests."""
    assert "connection=current_app.redis_conn" in CODE, BROKEN.format("it no longer uses app.redis_conn")


@pytest.mark.parametrize("endpoint", sorted(PAGES | DATA))
def test_it_has_each_page_that_is_shown(endpoint: str) -> None:
    """By the same name."""
    assert endpoint in endpoints(), BROKEN.format(f"there is no endpoint {endpoint}")


def test_its_other_routes_are_refused() -> None:
    """Each of these changes something; a new one that only shows data may be allowed."""
    known = {"delete_job_view", "requeue_job_view", "requeue_all", "empty_queue", "compact_queue"}
    assert endpoints() - SHOWN == known, BROKEN.format(
        f"new or gone: {', '.join(sorted((endpoints() - SHOWN) ^ known))}"
    )


@pytest.mark.parametrize("text", [*REWRITTEN, "</head>", '<div class="container">', "all the queued jobs"])
def test_its_pages_have_what_is_rewritten(text: str) -> None:
    """Else they would run no script, or show what is not escaped."""
    assert text in TEMPLATES, BROKEN.format(f"its templates have no {text}")


@pytest.mark.parametrize("selector", NOT_OFFERED.split(", "))
def test_its_pages_have_what_is_hidden(selector: str) -> None:
    """Each button that would be refused."""
    name = re.search(r"#([\w-]+)", selector)
    assert name and f'id="{name[1]}"' in TEMPLATES, BROKEN.format(f"its templates have no {selector}")
