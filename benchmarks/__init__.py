"""Measurements of the whole stack on this machine; `make bench` runs them and prints their tables."""
