"""The stack under attack: what strangers can do to it, and whether anyone else notices."""
