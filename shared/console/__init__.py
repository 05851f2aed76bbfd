"""The operator's console: pages that the server renders, over the same use cases as the JSON API and the command line."""
