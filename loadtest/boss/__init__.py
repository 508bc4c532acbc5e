"""An emulated BOSS: accounts, credit control, payments, and the state of users."""
