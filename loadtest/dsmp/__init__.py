"""One emulated DSMP: `python -m loadtest.dsmp --help`; `docs/ne/dsmp.md` has its dialect."""
