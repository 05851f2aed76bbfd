"""The one-machine stack: everything that runs Evergreen on one computer without outside accounts.

May import anything but tests."""
