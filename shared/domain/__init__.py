"""The concepts of the business and their rules: campaigns, forms, enrollments, due times, segments.

May import core; uses no clock and no network."""
