"""The owner's pages and their JSON API. The top of shared: may import all of it; nothing else of shared imports it."""
