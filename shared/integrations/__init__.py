"""One module per outside system; each turns its system's faults into Evergreen's errors."""
