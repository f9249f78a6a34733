"""What a lifecycle frame says of its market, in our words. Pure."""

from streaming.events import Status
from streaming.kalshi.messages import Lifecycle

_CHANGES = frozenset(
    ("close_date_updated", "metadata_updated", "price_level_structure_updated", "fractional_trading_updated")
)


def status_of(message: Lifecycle) -> Status:
    """The status that an event brings; UNKNOWN for a word that the venue's documents do not have."""
    match message.event_type:
        case "created":
            return Status.CREATED
        case "activated" | "deactivated":
            is_halted = (
                message.event_type == "deactivated"
                if message.is_deactivated is None
                else message.is_deactivated
            )
            return Status.HALTED if is_halted else Status.OPEN
        case "determined":
            return Status.DETERMINED
        case "settled":
            return Status.SETTLED
        case other:
            return Status.CHANGED if other in _CHANGES else Status.UNKNOWN
