"""osmo-hlr: the real one, found and started (`real`), and an emulated one that has the same words
(`python -m loadtest.osmo --help`); `docs/ne/osmo_hlr.md` has the dialect."""
