"""What HTTP functions share: requests, proofs, limits, responses.

May import services, intake and below. Only web and console use Flask."""
