"""What HTTP functions share: requests, proofs, limits, responses, and the server that runs them.

May import services, intake and below. Only web and console use Flask."""
