"""One emulated EOMS: `python -m loadtest.eoms --help`; `docs/ne/eoms.md` has its dialect."""
