"""The emulated relays 一级BBOSS and 一级BOSS, the registry of 物联网PBOSS behind them, and a
partner province: `python -m loadtest.relay --help`; `docs/ne/relays.md` has their dialects."""
