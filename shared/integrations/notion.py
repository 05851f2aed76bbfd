"""Notion: reads and writes pages of data sources through `notion-client`, and fills its gaps.

notion-client (3.1.0) raises four families of exceptions, retries some failures but not others, and adds a log handler
per client; here every failure becomes a NotionError whose `kind` says what can be done. API version 2025-09-03
(https://developers.notion.com/reference/versioning).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.core.errors import NotionError, NotionFault, masked
from shared.core.optional_imports import without
from shared.integrations.notion_values import Column, Value, number, page_id, write

with without("rich"):  # httpx loads it for its command line
    import httpx
    from notion_client import Client
    from notion_client.errors import HTTPResponseError, RequestTimeoutError

VERSION = "2025-09-03"
SCHEMA_FOR = 30  # seconds that columns are remembered: the owner may change them at any time
_BUSY = {409, 429, 529}
_BROKEN = {500, 502, 503, 504}
INCOMPLETE = (
    "Notion left out rows created at {minute} or later: it returns at most 10,000 rows of a query, and that many have "
    "the same created time, as after an import. In Notion, duplicate some of these and delete their originals (the "
    "copies have a new created time), then try again"
)


class Notion:
    """One workspace.

    Args:
        token: the token of an internal integration.
        api_url: where Notion's API is.
        turn: called before each request; returns when it may go.
        timeout: seconds for one request.
    """

    def __init__(self, token: str, api_url: str, *, turn: Callable[[], None], timeout: float = 20) -> None:
        self._client = Client(
            {
                "auth": token,
                "base_url": api_url.rstrip("/"),
                "notion_version": VERSION,
                "timeout_ms": round(timeout * 1000),
                "retry": False,
                "logger": logging.getLogger("notion_client"),
                "log_level": logging.CRITICAL,
            },
            client=httpx.Client(),
        )
        self._turn = turn
        self._schemas: dict[str, tuple[float, dict[str, Column]]] = {}

    def _call(self, method: Callable[..., Any], *positional: str, **arguments: Any) -> dict[str, Any]:
        self._turn()
        try:
            return dict(method(*positional, **arguments))
        except HTTPResponseError as error:
            raise _refusal(error) from None
        except RequestTimeoutError:
            raise NotionError("unsure", "Notion did not answer in time") from None
        except httpx.ConnectError:
            raise NotionError("busy", "Notion could not be reached") from None
        except httpx.HTTPError as error:
            raise NotionError("unsure", f"the connection to Notion broke ({type(error).__name__})") from None
        except json.JSONDecodeError:
            raise NotionError("unsure", "Notion's answer was not JSON") from None

    def data_sources(self, id: str) -> dict[str, str]:
        """The data sources behind an id or link from the owner's settings, which may be a database's or a data
        source's; id → name.

        Raises:
            NotionError: `trashed` if it is in the trash; `refused` if it is the id of a page.
        """
        id = page_id(id)
        try:
            found = self._call(self._client.databases.retrieve, id)
            sources = {str(one["id"]): str(one["name"]) for one in found["data_sources"]}
        except NotionError as error:
            if error.kind not in ("gone", "refused"):  # an id of another kind
                raise
            found = self._other_object(id, error)
            sources = {str(found["id"]): ""}
        if found.get("in_trash"):
            raise NotionError("trashed", "the database is in Notion's trash")
        if not sources:
            raise NotionError("refused", "the database has no data source that the integration may read")
        return sources

    def _other_object(self, id: str, why: NotionError) -> dict[str, Any]:
        """The data source with an id that is no database's; raises NotionError."""
        try:
            return self._call(self._client.data_sources.retrieve, id)
        except NotionError as error:
            if error.kind not in ("gone", "refused"):
                raise
        try:
            self._call(self._client.pages.retrieve, id)
        except NotionError as error:
            raise (why if error.kind in ("gone", "refused") else error) from None
        raise NotionError("refused", "that is the id of a page; open the database on it and copy the database's link")

    def database(self, id: str) -> dict[str, Any]:
        """The database of an id or link from the owner's settings, which may be a data source's; raises NotionError."""
        id = page_id(id)
        try:
            return dict(self._call(self._client.databases.retrieve, id))
        except NotionError as error:
            if error.kind != "gone":
                raise
        parent = self._call(self._client.data_sources.retrieve, id)["parent"]
        return dict(self._call(self._client.databases.retrieve, parent["database_id"]))

    def describe(self, database: str, description: str) -> None:
        """Write the line below a database's title; raises NotionError."""
        self._call(
            self._client.databases.update, database, description=[{"type": "text", "text": {"content": description}}]
        )

    def schema(self, source: str, *, fresh: bool = False) -> Mapping[str, Column]:
        """The properties of a data source by name; remembered for SCHEMA_FOR, unless asked for fresh ones; raises
        NotionError."""
        now = time.monotonic()
        read, columns = self._schemas.get(source, (now, {}))
        if fresh or not columns or now - read > SCHEMA_FOR:
            found = self._call(self._client.data_sources.retrieve, source)["properties"]
            columns = {name: Column.of(property) for name, property in found.items()}
            self._schemas[source] = (now, columns)
        return columns

    def add_properties(self, source: str, properties: Mapping[str, Any]) -> None:
        """Add properties to a data source; existing ones stay as they are; raises NotionError."""
        self._call(self._client.data_sources.update, source, properties=dict(properties))
        self._schemas.pop(source, None)

    def create_database(self, parent_page: str, title: str, properties: Mapping[str, Any]) -> str:
        """Create a database below a page; returns its id; raises NotionError."""
        answer = self._call(
            self._client.databases.create,
            parent={"type": "page_id", "page_id": parent_page},
            title=[{"type": "text", "text": {"content": title}}],
            initial_data_source={"properties": dict(properties)},
        )
        return str(answer["id"])

    def pages(
        self, source: str, filter: Mapping[str, Any] | None = None, *, tries: int = 1
    ) -> Iterator[dict[str, Any]]:
        """The pages of a data source that match a filter, oldest first, each once.

        A query ends after 10,000 rows: Notion is then asked again, from the minute of the last row on, as
        `created_time` has no seconds (https://developers.notion.com/guides/data-apis/query-large-data-sources).

        Args:
            source: the data source's id.
            filter: in Notion's form.
            tries: how often a request may fail before this does.

        Raises:
            NotionError: `incomplete` if Notion leaves out rows even so.
        """
        minute, known = "", set[str]()  # the latest created_time, and the pages found since it was reached
        while True:
            cut = progress = False
            for pages, cut in self._query(source, _since(filter, minute), tries):  # noqa: B007 - the last one counts
                for page in pages:
                    if page["created_time"] > minute:
                        minute = page["created_time"]
                        known.clear()
                    if page["id"] not in known:
                        known.add(page["id"])
                        progress = True
                        yield page
            if not cut:
                return
            if not progress:
                raise NotionError("incomplete", INCOMPLETE.format(minute=minute or "any time"))

    def _query(self, source: str, asked: dict[str, Any], tries: int) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """The pages that one query finds, a hundred at a time, and whether it has left out any by then."""
        cut, failures = False, 0
        while True:
            try:
                answer = self._call(self._client.data_sources.query, source, **asked)
            except NotionError as error:
                failures += 1
                if error.kind in ("busy", "unsure") and failures < tries:
                    time.sleep(error.retry_after or 1.0)
                    continue
                if error.kind != "refused" or "start_cursor" not in asked:
                    raise
                yield [], True  # the page that the cursor names has been deleted, or no longer matches
                return
            cut, failures = cut or (answer.get("request_status") or {}).get("type") == "incomplete", 0
            yield answer["results"], cut
            if not answer.get("has_more") or not answer.get("next_cursor"):
                return
            asked["start_cursor"] = answer["next_cursor"]

    def find_all(self, source: str, keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The pages whose properties have these values, oldest first; raises NotionError."""
        types = self.schema(source)
        if unknown := [name for name in keys if name not in types]:
            types = self.schema(source, fresh=True)
            if unknown := [name for name in unknown if name not in types]:
                raise NotionError("refused", f"there is no property {', '.join(unknown)}; run `evergreen notion check`")
        filters = [_filter(name, types[name], value) for name, value in keys.items()]
        return self.pages(source, {"and": filters}) if all(filters) else iter(())

    def find(self, source: str, keys: Mapping[str, str]) -> str | None:
        """The oldest such page, or None; raises NotionError."""
        found = next(self.find_all(source, keys), None)
        return str(found["id"]) if found else None

    def create(self, source: str, values: Mapping[str, Value], markdown: str | None = None) -> str:
        """Create a page, with a body if given; returns its id.

        Raises:
            NotionError: if it is `unsure` or `busy`, the page may still exist.
        """
        body = {} if markdown is None else {"markdown": markdown}
        try:
            answer = self._call(
                self._client.pages.create,
                parent={"type": "data_source_id", "data_source_id": source},
                properties=self._properties(source, values),
                **body,
            )
        except NotionError as error:
            if error.committed:  # the error response says that the page was saved
                return error.committed
            raise
        return str(answer["id"])

    def update(self, page: str, source: str, values: Mapping[str, Value]) -> None:
        """Change some properties of a page; raises NotionError, `gone` if the page no longer exists."""
        self._call(self._client.pages.update, page, properties=self._properties(source, values))

    def page(self, page: str) -> dict[str, Any]:
        """A page with its properties; raises NotionError."""
        return dict(self._call(self._client.pages.retrieve, page))

    def markdown(self, page: str) -> str:
        """A page's body in Notion's Markdown; raises NotionError, `refused` if it is too long to be read whole.

        https://developers.notion.com/reference/retrieve-page-markdown
        """
        answer = self._call(self._client.pages.retrieve_markdown, page)
        if answer.get("truncated"):
            raise NotionError("refused", "the page is too long for Notion to return in full; shorten it")
        return str(answer["markdown"])

    def rewrite(self, page: str, markdown: str) -> None:
        """Replace a page's body; raises NotionError."""
        self._call(
            self._client.pages.update_markdown, page, type="replace_content", replace_content={"new_str": markdown}
        )

    def trash(self, page: str) -> None:
        """Move a page to the trash; raises NotionError, `gone` if it is already there or does not exist."""
        self._call(self._client.pages.update, page, in_trash=True)

    def _properties(self, source: str, values: Mapping[str, Value]) -> dict[str, Any]:
        types = self.schema(source)
        return {name: written for name, value in values.items() if (written := write(types[name], value)) is not None}


def _filter(name: str, column: Column, value: str) -> dict[str, Any] | None:
    """The filter for a value; None if no page can have it."""
    if column.type == "status":
        option = column.option(value)
        return {"property": name, "status": {"equals": option}} if option else None
    condition = "contains" if column.type == "multi_select" else "equals"
    return {"property": name, column.type: {condition: value}}


def _since(filter: Mapping[str, Any] | None, minute: str) -> dict[str, Any]:
    """A query, oldest first, for what matches a filter and was created in this minute or later; "" for no limit."""
    conditions = list(filter.get("and", [filter])) if filter else []
    if minute:
        conditions.append({"timestamp": "created_time", "created_time": {"on_or_after": minute}})
    oldest_first = {"sorts": [{"timestamp": "created_time", "direction": "ascending"}], "page_size": 100}
    return oldest_first | ({"filter": {"and": conditions}} if conditions else {})


def _refusal(error: HTTPResponseError) -> NotionError:
    """Sort a response by what can be done about it."""
    body = _body(error)
    code = str(body.get("code") or error.code)
    reason = f"Notion answered {error.status} {code}: {masked(str(body.get('message') or ''))}".rstrip(": ")
    kind = _kind(error.status, reason)
    if error.status not in _BUSY | _BROKEN:
        return NotionError(kind, reason)
    details = body.get("additional_data")
    committed = details.get("committed_resource_id") if isinstance(details, dict) else None
    return NotionError(kind, reason, retry_after=number(error.headers.get("retry-after")), committed=committed)


def _kind(status: int, reason: str) -> NotionFault:
    if status in _BUSY:
        return "busy"
    if status in _BROKEN:
        return "unsure"
    if status == 404 or "archived" in reason:
        return "gone"
    if status in (401, 403):
        return "denied"
    return "refused" if 400 <= status < 500 else "unsure"


def _body(error: HTTPResponseError) -> dict[str, Any]:
    try:
        body = json.loads(error.body)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
