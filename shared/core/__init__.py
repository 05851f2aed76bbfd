"""What every process needs first: settings, errors and logs.

Imports none of our other packages; the only package that reads the environment."""
