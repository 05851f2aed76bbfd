"""What is wrong with a setup, and how to fix it.

May import sending, notion and below; only reads."""
