"""One claimed step becomes one posted email.

May import emails and what is below; the only package that posts to contacts."""
