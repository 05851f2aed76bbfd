"""One module per outside system; each turns that system's errors into ours.

May import core and domain, but never each other."""
