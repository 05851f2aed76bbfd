"""After a loss: which copy may send, how a lost ledger is rebuilt, and whether ledger, Resend and Notion agree.

May import sending, notion and below."""
