"""What Evergreen writes to Notion and reads from it. May import emails, intake and below; delays no email."""
