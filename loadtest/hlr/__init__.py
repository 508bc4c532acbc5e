"""One emulated M-HLR: `python -m loadtest.hlr --help`; `docs/ne/huawei_hlr.md` has its dialect."""
