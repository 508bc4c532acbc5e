"""Headquarters and provinces of the flows of group business, and which hlrd is whose."""

from typing import Final

from loadtest.flow.daemon import Daemon
from loadtest.flow.site import Site

LEAD: Final = "200"
PARTNER: Final = "280"
HLRS: Final = ("hlr1", "hlr2", "hlr3", "hlr4")
HQ: Final = "hlrd-hq"


def provinces(site: Site) -> dict[str, Daemon]:
    """The hlrd of each province."""
    named = {code: site.daemons.get(f"hlrd-{code}") for code in (LEAD, PARTNER)}
    found = {code: daemon for code, daemon in named.items() if daemon is not None}
    return found or {LEAD: site.hlrd}


def headquarters(site: Site) -> Daemon:
    """The hlrd that drives the HLRs."""
    return site.daemons.get(HQ, site.hlrd)
