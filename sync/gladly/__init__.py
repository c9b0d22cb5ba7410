"""
Gladly, read only: `GladlyClient` makes the calls, `ChangeFeed` is what happened as one stream of changes,
`Lookups` is what conversations, profiles and agents look like now.
"""

from sync.gladly.client import GladlyClient
from sync.gladly.feed import ChangeFeed
from sync.gladly.lookups import Lookups

__all__ = ["ChangeFeed", "GladlyClient", "Lookups"]
