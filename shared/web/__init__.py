"""What HTTP functions share: requests, proofs, limits, answers.

May import services, intake and below. Only it and console know Flask."""
