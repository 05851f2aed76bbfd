"""The processes that make time pass: the release loop, the workers, and the jobs that they run."""
