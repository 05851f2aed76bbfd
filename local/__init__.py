"""The one-machine stack: everything that runs Evergreen on a laptop or a single small server without outside accounts."""
