"""The store of templates: files, last good texts in Redis, and what happens without Redis."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from local import valkey
from shared.domain import campaign_files
from shared.emails.template_store import REFRESH, Store, compile_templates
from shared.ledger.client import Ledger
from shared.ledger.template_texts import VERSION, TemplateTexts
from tests.support.world import SETTINGS

KEY = ("christmas", "christmas_email_1")
NAME = "/".join(KEY)
CATALOG = campaign_files.load()


class Seconds:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def store(ledger: Ledger, seconds: Seconds) -> Store:
    return Store(CATALOG, SETTINGS, ledger, seconds)


def text_of(store: Store, **values: str) -> str:
    """The first line that a contact gets."""
    return store[KEY].render({"booking_url": "https://example.org", **values}, unsubscribe_url=None).text.split("\n")[0]


def test_it_holds_every_file(store: Store) -> None:
    """Without an owner's text, the emails are those of the files."""
    files = compile_templates(CATALOG, SETTINGS)
    assert set(store) == set(files) == set(CATALOG.sources) and len(store) == len(files)
    for key, template in files.items():
        assert store[key].subject_source == template.subject_source and not store.edited(key)


def test_a_new_text_is_used_after_the_refresh_and_not_before(store: Store, ledger: Ledger, seconds: Seconds) -> None:
    """Redis is asked only once per interval; a withdrawn text gives way to the file."""
    before = text_of(store)
    TemplateTexts(ledger).accept(NAME, "Subject: Hi\n\nMine.")
    assert text_of(store) == before
    seconds.now = REFRESH
    assert text_of(store) == "Mine." and store.edited(KEY)
    TemplateTexts(ledger).withdraw(NAME)
    seconds.now *= 2
    assert text_of(store) == before


def test_asking_costs_one_small_get(store: Store, ledger: Ledger, seconds: Seconds) -> None:
    """However often a template is used, and however many there are."""
    text_of(store)
    for second in range(10):
        seconds.now = REFRESH * (second + 1)
        before = ledger.redis.info("stats")["total_commands_processed"]
        for _ in range(50):
            text_of(store)
        assert ledger.redis.info("stats")["total_commands_processed"] - before == 2, "one GET and this INFO"


def test_an_unchanged_text_is_not_compiled_again(store: Store, ledger: Ledger, seconds: Seconds) -> None:
    """Another template's edit leaves it as it is."""
    TemplateTexts(ledger).accept(NAME, "Subject: Hi\n\nMine.")
    first = store[KEY]
    TemplateTexts(ledger).accept("christmas/christmas_email_2", "Subject: Hi\n\nOther.")
    seconds.now = REFRESH
    assert store[KEY] is first and store["christmas", "christmas_email_2"].subject_source == "Hi"


@pytest.mark.parametrize("source", ["Subject: Hi\n\n{{ unknown_here }}", "", "no subject"])
def test_a_text_that_this_release_refuses_falls_back_to_the_file(store: Store, ledger: Ledger, source: str) -> None:
    """Another release may have accepted it; no send fails because of it."""
    before = CATALOG.sources[KEY].split("\n")[0].removeprefix("Subject: ")
    TemplateTexts(ledger).accept(NAME, source)
    TemplateTexts(ledger).accept("christmas/gone_since", source)
    assert store[KEY].subject_source == before


def test_contacts_without_a_needed_value_get_the_files_text(store: Store, ledger: Ledger) -> None:
    """A text that needs a score goes to those who have one; the others' email is neither stopped nor spoiled."""
    TemplateTexts(ledger).accept(NAME, "Subject: Hi\n\nYou have {{ assessment_score }} points.")
    assert text_of(store, assessment_score="45") == "You have 45 points."
    assert text_of(store) == "Hi there,"


def test_without_redis_the_texts_stay_in_use(tmp_path: Path, seconds: Seconds) -> None:
    """The last good text stays in use while Redis is unavailable."""
    with valkey.serve(tmp_path, 0, "secret") as server:
        ledger = Ledger(Redis.from_url(server.url, password=server.password, decode_responses=True, retry=None))
        TemplateTexts(ledger).accept(NAME, "Subject: Hi\n\nMine.")
        store = Store(CATALOG, SETTINGS, ledger, seconds)
        assert text_of(store) == "Mine."
        server.process.kill()
        server.process.wait()
        with pytest.raises(RedisConnectionError):
            ledger.redis.get(VERSION)
        seconds.now = REFRESH
        assert text_of(store) == "Mine."


def test_only_new_rejections_are_reported(ledger: Ledger) -> None:
    """A rejection that stays is not reported again; one that is fixed is forgotten."""
    last_good = TemplateTexts(ledger)
    assert last_good.reject({"a/b": "one", "a/c": "two"}) == {"a/b": "one", "a/c": "two"}
    assert last_good.reject({"a/b": "one", "a/c": "three"}) == {"a/c": "three"}
    assert last_good.reject({}) == {} == last_good.rejected()
