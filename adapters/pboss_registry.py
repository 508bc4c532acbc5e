"""The registry of 物联网PBOSS (docs/ne/relays.md): enterprises, what they have, and their members.

It stands behind both relays; an hlrd of headquarters itself asks it with nothing between.
"""

from adapters.reports import Reports


class PBOSSRegistry(Reports):
    dialect = "pboss_registry"
    path = "/pboss/v1"
