"""The routes of the API and what each one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import request

from local.sandbox.notion import contents, databases, pages
from local.sandbox.notion.objects import (
    block_object,
    data_source_object,
    database_object,
    markdown_object,
    page_object,
)
from local.sandbox.notion.pagination import cut, listed, page_size
from local.sandbox.notion.query import query
from local.sandbox.notion.record import Record
from local.sandbox.notion.records import Records
from local.sandbox.notion.references import found
from local.sandbox.notion.search import search
from local.sandbox.notion.users import BOT, users
from local.sandbox.notion.wording import an_id, not_found, should_be
from local.sandbox.refusal import Refusal

MAX_BODY = 500_000

Answer = dict[str, Any]


class Routes:
    """What the integration may request; each method handles one route, within a transaction.

    Args:
        records: the workspace.
        limits: returns those in force: `notion_search_lag_ms` is how old an object must be for search to find it, and
            `notion_query_rows` how many rows a query returns.
    """

    def __init__(self, records: Records, limits: Callable[[], dict[str, int]]) -> None:
        self._records = records
        self._limits = limits

    def table(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        """Rule, method and view of each."""
        return [
            ("/users", "GET", self.list_users),
            ("/users/me", "GET", self.me),
            ("/users/<user_id>", "GET", self.user),
            ("/search", "POST", self.search),
            ("/databases", "POST", self.create_database),
            ("/databases/<database_id>", "GET", self.database),
            ("/databases/<database_id>", "PATCH", self.update_database),
            ("/data_sources", "POST", self.create_data_source),
            ("/data_sources/<source_id>", "GET", self.data_source),
            ("/data_sources/<source_id>", "PATCH", self.update_data_source),
            ("/data_sources/<source_id>/query", "POST", self.query),
            ("/pages", "POST", self.create_page),
            ("/pages/<page_id>", "GET", self.page),
            ("/pages/<page_id>", "PATCH", self.update_page),
            ("/pages/<page_id>/properties/<key>", "GET", self.property_item),
            ("/pages/<page_id>/markdown", "GET", self.markdown),
            ("/pages/<page_id>/markdown", "PATCH", self.update_markdown),
            ("/blocks/<block_id>", "GET", self.block),
            ("/blocks/<block_id>", "PATCH", self.update_block),
            ("/blocks/<block_id>", "DELETE", self.delete_block),
            ("/blocks/<block_id>/children", "GET", self.children),
            ("/blocks/<block_id>/children", "PATCH", self.append),
        ]

    def list_users(self) -> Answer:
        """The owner and the integration."""
        return listed("user", users())

    def me(self) -> Answer:
        """The integration."""
        return users()[1]

    def user(self, user_id: str) -> Answer:
        """One of the two."""
        wanted = an_id(user_id, "path.user_id")
        for one in users():
            if one["id"] == wanted:
                return one
        raise not_found("user", wanted)

    def search(self) -> Answer:
        """Pages and data sources by title."""
        return search(self._records, _body(), self._limits()["notion_search_lag_ms"] / 1000)

    def create_database(self) -> Answer:
        """A database with its first data source."""
        return database_object(self._records, databases.create_database(self._records, _body(), BOT))

    def database(self, database_id: str) -> Answer:
        """A database and its data sources."""
        return database_object(self._records, found(self._records, database_id, "database"))

    def update_database(self, database_id: str) -> Answer:
        """A database's title, appearance or trash."""
        database = found(self._records, database_id, "database")
        return database_object(self._records, databases.update_database(self._records, database, _body(), BOT))

    def create_data_source(self) -> Answer:
        """One more data source in a database."""
        return data_source_object(self._records, databases.create_data_source(self._records, _body(), BOT))

    def data_source(self, source_id: str) -> Answer:
        """A data source with its properties."""
        return data_source_object(self._records, self._source(source_id))

    def update_data_source(self, source_id: str) -> Answer:
        """A data source's properties, title or trash."""
        changed = databases.update_data_source(self._records, self._source(source_id), _body(), BOT)
        return data_source_object(self._records, changed)

    def query(self, source_id: str) -> Answer:
        """Pages of a data source."""
        return query(
            self._records, self._source(source_id), _body(), _wanted(), most=self._limits()["notion_query_rows"]
        )

    def create_page(self) -> Answer:
        """A page."""
        return page_object(self._records, pages.create(self._records, _body(), BOT))

    def page(self, page_id: str) -> Answer:
        """A page with its properties."""
        return page_object(self._records, self._page(page_id), _wanted())

    def update_page(self, page_id: str) -> Answer:
        """A page's properties, appearance or trash."""
        return page_object(self._records, pages.update(self._records, self._page(page_id), _body(), BOT))

    def property_item(self, page_id: str, key: str) -> Answer:
        """One property of a page."""
        return pages.property_item(self._records, self._page(page_id), key)

    def markdown(self, page_id: str) -> Answer:
        """A page's body."""
        page = self._page(page_id)
        return markdown_object(page, contents.read_markdown(self._records, page))

    def update_markdown(self, page_id: str) -> Answer:
        """A page's body, changed."""
        contents.edit_markdown(self._records, self._page(page_id), _body(), BOT)
        return self.markdown(page_id)

    def block(self, block_id: str) -> Answer:
        """A block, page or database as a block."""
        return block_object(self._records, self._block(block_id))

    def update_block(self, block_id: str) -> Answer:
        """A block's content or trash."""
        return block_object(self._records, contents.update(self._records, self._block(block_id), _body(), BOT))

    def delete_block(self, block_id: str) -> Answer:
        """A block, page or database moved to the trash."""
        return block_object(self._records, contents.trash(self._records, self._block(block_id), BOT))

    def children(self, block_id: str) -> Answer:
        """The content of a page or a block."""
        found = self._records.children(self._block(block_id).id, "block", "page", "database")
        by_id = {record.id: record for record in found}
        size = page_size(request.args.get("page_size"), "query.page_size")
        ids, following = cut(list(by_id), size, request.args.get("start_cursor"))
        return listed("block", [block_object(self._records, by_id[one]) for one in ids], following)

    def append(self, block_id: str) -> Answer:
        """More blocks on a page or in a block."""
        added = contents.append(self._records, self._block(block_id), _body(), BOT)
        return listed("block", [block_object(self._records, one) for one in added])

    def _page(self, page_id: str) -> Record:
        return found(self._records, page_id, "page")

    def _source(self, source_id: str) -> Record:
        return found(self._records, source_id, "data_source")

    def _block(self, block_id: str) -> Record:
        wanted = an_id(block_id, "path.block_id")
        record = self._records.get(wanted, "block", "page", "database")
        if record is None:
            raise not_found("block", wanted)
        return record


def _wanted() -> list[str]:
    return request.args.getlist("filter_properties") + request.args.getlist("filter_properties[]")


def _body() -> dict[str, Any]:
    data = request.get_data()
    if len(data) > MAX_BODY:
        raise should_be("body.length", f"≤ `{MAX_BODY}`", len(data))
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        raise Refusal(400, "invalid_json", "Error parsing JSON body.") from None
    if not isinstance(body, dict):
        raise should_be("body", "an object", body)
    return body
