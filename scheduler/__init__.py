"""The processes that make time pass: release, workers and their jobs, metrics, polling Notion. May import shared."""
