"""The rooms of the daemon, each put together out of its parts. `hlrd.app` connects them."""
