"""Stand-ins for the outside providers that speak HTTP to their real SDKs, so that the whole of Evergreen runs without an account.

Resend is here. Another provider is a sibling of `resend.py`: its name joins `faults.PROVIDERS`, its app joins the mounts in `app.py`.
"""
