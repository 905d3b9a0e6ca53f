"""Ways for rounds and updates to travel; every transport offers the same Exchange."""
