"""The same work for Evergreen and for what one would use instead: `python -m benchmarks.peers`."""
