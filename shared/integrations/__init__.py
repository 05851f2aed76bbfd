"""One to four modules for each outside system, by name: calls, responses, events, payloads. They turn that system's
errors into ours.

May import core and domain, but never another system's."""
