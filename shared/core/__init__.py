"""What every process needs first: settings, errors, logs.

Imports nothing of ours; the only package that reads the environment."""
