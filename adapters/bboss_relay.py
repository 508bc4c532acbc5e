"""一级BBOSS (docs/ne/relays.md): the relay of cross-province group business. It passes what it
takes on to headquarters, and publishes a product confirmed there to the partner provinces.
"""

from adapters.reports import Reports


class BBOSSRelay(Reports):
    dialect = "bboss_relay"
    path = "/bboss/v1"
    has_partners = True
