"""Imports of SIM lots: received and queued by the daemon, done by a process of their own."""
