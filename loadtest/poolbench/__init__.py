"""`make bench-pool`: what one durable allocation costs, beside the ways others do it."""
