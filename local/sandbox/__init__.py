"""Stand-ins for the outside providers. They speak HTTP to the real SDKs, so all of Evergreen runs without an account.

Each provider is a package: `resend`, `notion`, `discord`. To add another, add its name to `faults.PROVIDERS` and its
app to the mounts in `app.py`.
"""
