"""After a loss: which copy may send, how a lost ledger is rebuilt, and whether all agree.

May import sending, notion and what is below."""
