"""The words of the business and their rules: campaigns, forms, enrollments, due times, segments.

May import core; no clock, no network."""
