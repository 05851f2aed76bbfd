"""The stand-in for Resend: its API, its idempotency keys, and the events that it posts."""
