"""What a person decides and asks, whether by console, API, command or Notion.

May import sending, notion and below; knows no HTTP."""
