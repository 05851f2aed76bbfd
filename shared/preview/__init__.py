"""Say in one sentence what may be here, and what it may import."""
