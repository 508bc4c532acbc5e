"""An emulated CRM: takes what customers want, decomposes it into orders, and closes them."""
