"""What comes in becomes one order to the ledger. May import domain, ledger and integrations; knows no HTTP."""
