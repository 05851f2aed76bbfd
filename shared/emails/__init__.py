"""Texts in, emails out: templates, placeholders, layout.

May import what is below and the ledger, for texts; sends nothing."""
