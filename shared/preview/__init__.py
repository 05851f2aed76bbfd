"""What would happen: plans, simulations, differences, test emails.

May import sending, notion and what is below; changes nothing."""
