"""The registry's tables, with the names and columns of the design."""

from registry.models.environment import Environment, EnvironmentVersion
from registry.models.feed import Feed, FeedVersion
from registry.models.inventory import ArchivePart, DataGap, DataInventory, InventorySymbol
from registry.models.schema import SchemaVersion

__all__ = [
    "ArchivePart",
    "DataGap",
    "DataInventory",
    "Environment",
    "EnvironmentVersion",
    "Feed",
    "FeedVersion",
    "InventorySymbol",
    "SchemaVersion",
]
