"""Notion's API as `notion-client` uses it, version 2025-09-03: https://developers.notion.com/reference/intro.

| module | what it holds |
|---|---|
| `api` | the WSGI app: authentication, rate limit, one transaction for each request |
| `routes`, `answers` | each route and what it does; responses and refusals in Notion's form |
| `databases`, `pages`, `contents`, `edits`, `query`, `search` | what the routes do |
| `schema`, `values`, `options`, `richtext`, `dates`, `blocks` | the formats: what is accepted, kept and answered |
| `markdown`, `markdown_lines`, `inline` | Markdown as blocks, blocks as Markdown, and the text of one block |
| `filters`, `conditions`, `references`, `pagination` | parts of a request: filters, named objects, pages of results |
| `wording`, `objects`, `users` | Notion's error messages; Notion's objects as JSON |
| `records`, `record`, `rows` | everything that exists, in the sandbox's SQLite file |
| `seed`, `export`, `person`, `form` | ready-made layouts; the sandbox's own JSON; pages for people |

Not simulated: comments, files, views, people, formulas and rollups, the other half of a dual relation, and blocks other
than text, images by their address, bookmarks, tables and columns.
"""
