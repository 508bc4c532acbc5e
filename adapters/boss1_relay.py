"""一级BOSS (docs/ne/relays.md): the relay between one province and headquarters; no partners."""

from adapters.reports import Reports


class BOSS1Relay(Reports):
    dialect = "boss1_relay"
    path = "/boss1/v1"
