"""What we keep in Notion and read from it. May import emails, intake and what is below; delays no email."""
