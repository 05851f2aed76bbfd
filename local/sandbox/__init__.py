"""Stand-ins for the outside providers that speak HTTP to their real SDKs, so that the whole of Evergreen runs without
an account.

Resend is `resend.py` and what it uses, Notion the package `notion`. Another provider is a sibling of theirs: its name
joins
`faults.PROVIDERS`, its app joins the mounts in `app.py`.
"""
