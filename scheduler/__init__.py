"""The background processes: release, workers and their jobs, metrics, polling Notion. May import shared."""
