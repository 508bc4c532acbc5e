"""One emulated HLR behind CAI: `python -m loadtest.cai --help`; `docs/ne/ericsson_cai.md`."""
