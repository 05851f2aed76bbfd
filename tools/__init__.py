"""Developer tools: setup, deployment files, the OpenAPI document, screenshots.

Nothing imports them at run time."""
