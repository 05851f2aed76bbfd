"""What would happen: plans, simulations, differences, test emails.

May import sending, notion and below; changes nothing."""
