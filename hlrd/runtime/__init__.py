"""The shells around the engine: they wait, it decides."""
