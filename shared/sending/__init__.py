"""Turns one claimed step into one posted email.

May import emails and the packages below; the only package that posts to contacts."""
