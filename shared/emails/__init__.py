"""Texts in, emails out: templates, placeholders, layout.

May import the packages below, and the ledger for texts; sends nothing."""
