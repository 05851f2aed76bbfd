"""One module per outside system, or two: the second for its payloads, values or responses. Each turns that system's
errors into ours.

May import core and domain, but never another system's."""
