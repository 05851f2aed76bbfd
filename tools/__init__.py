"""The developer's tools: the set-up, deployment files, the OpenAPI document, screenshots.

Nothing that runs imports them."""
