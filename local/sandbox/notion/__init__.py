"""Notion's API as `notion-client` uses it, version 2025-09-03: https://developers.notion.com/reference/intro.

| module | what it holds |
|---|---|
| `api` | the WSGI app: routes, authentication, rate limit, errors |
| `databases`, `pages`, `contents`, `query`, `search` | what the routes do |
| `schema`, `values`, `richtext`, `dates`, `blocks`, `markdown` | the formats: what is accepted, kept and answered |
| `filters`, `wording`, `objects` | conditions of a query; Notion's error messages; Notion's objects as JSON |
| `records` | everything that exists, in the sandbox's SQLite file |
| `seed`, `export`, `person` | ready-made layouts; the sandbox's own JSON; pages for people |

Not simulated: comments, files, views, people, formulas and rollups, the other half of a dual relation, and blocks other
than text.
"""
