"""The sandbox's pages for people: the outbox, faults, Discord's messages, previews."""
