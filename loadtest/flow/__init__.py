"""The flows of the two seed documents, each runnable and proven: `python -m loadtest flow`."""
