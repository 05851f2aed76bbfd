"""What a person does and sees, by console, API, command or Notion.

May import sending, notion and below; does not use HTTP."""
