"""The stand-in for Resend: its API, idempotency keys, and events."""
