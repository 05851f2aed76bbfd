"""The local stack: everything that runs Evergreen on one machine without outside accounts.

May import anything but tests."""
