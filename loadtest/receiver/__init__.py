"""An emulated upstream system that takes receipts: its core, its HTTP port, its process."""
