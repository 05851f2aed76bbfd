"""One module per outside system; each turns its system's faults into our errors.

May import core and domain, and never one another."""
