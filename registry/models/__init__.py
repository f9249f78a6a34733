"""The registry's tables, with the names and columns of the design."""

from registry.models.archive import CaptureSession, NormalizedPart, SealedDay
from registry.models.calendar import FeedCalendar, MaintenanceWindow
from registry.models.deployment import DeploymentLog
from registry.models.environment import Environment, EnvironmentVersion
from registry.models.feed import Feed, FeedVersion
from registry.models.inventory import ArchivePart, DataGap, DataInventory, InventorySymbol
from registry.models.migration import SchemaMigration, SchemaMigrationRun
from registry.models.quality import DataQualityIssue
from registry.models.schema import SchemaVersion

__all__ = [
    "ArchivePart",
    "CaptureSession",
    "DataGap",
    "DataInventory",
    "DataQualityIssue",
    "DeploymentLog",
    "Environment",
    "EnvironmentVersion",
    "Feed",
    "FeedCalendar",
    "FeedVersion",
    "InventorySymbol",
    "MaintenanceWindow",
    "NormalizedPart",
    "SchemaMigration",
    "SchemaMigrationRun",
    "SchemaVersion",
    "SealedDay",
]
