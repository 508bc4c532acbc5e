"""What the flows of a family run on: a layout starts it on an empty site (loadtest.flow.site)."""

from loadtest.flow.site import Site


async def empty(site: Site) -> None:
    """Nothing."""
