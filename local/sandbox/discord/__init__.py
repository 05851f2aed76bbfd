"""The stand-in for Discord: its webhooks, and the messages as they were posted."""
