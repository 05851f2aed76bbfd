"""Everything that functions, scheduler, commands and the local stack share.

Imports none of them (the contract: pyproject.toml)."""
