"""The same work for Evergreen and for what you would use instead: `python -m benchmarks.peers`."""
