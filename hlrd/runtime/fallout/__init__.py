"""The fallout desk: what persons, two together, or the people behind the EOMS decide of orders."""
