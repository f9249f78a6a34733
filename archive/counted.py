"""Counts what was asked of a store, and what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from archive.objects import ObjectMissing, OtherContent
from streaming import metrics


@contextmanager
def counted(store: str, operation: str) -> Iterator[None]:
    """One operation, by its result: ok, missing, other (content) or failed."""
    result = "failed"
    try:
        yield
        result = "ok"
    except ObjectMissing:
        result = "missing"
        raise
    except OtherContent:
        result = "other"
        raise
    finally:
        metrics.STORE_OPERATIONS.labels(store, operation, result).inc()
