"""All kinds of order against a small model of what the network is meant to hold."""
