"""Turns what comes in into one order to the ledger. May import domain, ledger and integrations; knows no HTTP."""
