"""Everything that functions, scheduler, commands and the local stack share. Imports none of them; docs/house.md says who may import whom."""
