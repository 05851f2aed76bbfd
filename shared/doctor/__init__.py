"""What is wrong with a set-up, and how to fix it.

May import sending, notion and what is below; asks, and changes nothing."""
