"""Rows of the registry as JSON documents, with the design's column names."""

from datetime import datetime
from typing import Any

from registry.listing import rfc3339
from registry.models import (
    DataGap,
    DataInventory,
    DataQualityIssue,
    Environment,
    EnvironmentVersion,
    Feed,
    FeedVersion,
    SchemaVersion,
    SealedDay,
)
from registry.temporal import utc_day


def feed_document(feed: Feed, moment: datetime) -> dict[str, Any]:
    """A feed, with the version in force then."""
    day = utc_day(moment)
    # Not `as_of(day)`: one query for each feed of a list.
    in_force = [
        version
        for version in feed.versions.all()
        if version.effective_from <= day and (version.effective_to is None or version.effective_to > day)
    ]
    return {
        "name": feed.name,
        "display_name": feed.display_name,
        "description": feed.description,
        "feed_type": feed.feed_type,
        "venue": feed.venue,
        "simulated": feed.simulated,
        "status": feed.status,
        "version": feed_version_document(in_force[0]) if in_force else None,
    }


def feed_version_document(version: FeedVersion) -> dict[str, Any]:
    """How to reach a feed, and from when until when; never its secret."""
    return {
        "version": version.version,
        "effective_from": version.effective_from,
        "effective_to": version.effective_to,
        "protocol": version.protocol,
        "endpoint": version.endpoint_template,
        "rest_endpoint": version.rest_endpoint,
        "auth_method": version.auth_method,
        "supports_orderbook": version.supports_orderbook,
        "supports_trades": version.supports_trades,
        "supports_historical": version.supports_historical,
        "subscribe_params": version.subscribe_params,
    }


def inventory_document(row: DataInventory) -> dict[str, Any]:
    """An inventory row with the design's column names."""
    score = row.quality_score
    return {
        "feed": row.feed.name,
        "data_type": row.data_type,
        "date": row.date,
        "schema_version": row.schema_version,
        "status": row.status,
        "storage_path": row.storage_path,
        "symbol_count": row.symbol_count,
        "record_count": row.record_count,
        "byte_size": row.byte_size,
        "first_timestamp": rfc3339(row.first_timestamp),
        "last_timestamp": rfc3339(row.last_timestamp),
        "gap_count": row.gap_count,
        "quality_score": None if score is None else float(score),
        "connector_version": row.connector_version,
        "processor_version": row.processor_version,
        "processed_at": rfc3339(row.processed_at),
    }


def gap_document(gap: DataGap, moment: datetime) -> dict[str, Any]:
    """A gap with the design's column names; it had no end yet where that came after `moment`."""
    end = gap.gap_end if gap.gap_end is not None and gap.gap_end <= moment else None
    return {
        "feed": gap.feed.name,
        "date": gap.date,
        "gap_start": rfc3339(gap.gap_start),
        "gap_end": rfc3339(end),
        "gap_type": gap.gap_type,
        "session": gap.session,
        "gap_number": gap.gap_number,
        "connection": gap.connection,
        "sid": gap.sid,
        "symbols": gap.symbols,
        "planned": gap.planned,
        "healable": gap.healable,
        "fault": gap.fault,
        "resolved": gap.resolved,
        "resolved_at": rfc3339(gap.resolved_at),
        "notes": gap.notes,
        "detail": gap.detail,
    }


def issue_document(issue: DataQualityIssue) -> dict[str, Any]:
    """What is wrong with a day's data, with the design's column names."""
    return {
        "issue_type": issue.issue_type,
        "severity": issue.severity,
        "count": issue.count,
        "session": issue.session or None,
        "n": issue.n,
        "sample_data": issue.sample_data,
        "detected_at": rfc3339(issue.detected_at),
    }


def sealed_document(day: SealedDay, moment: datetime) -> dict[str, Any]:
    """A sealed version of a day; it was not verified yet where that came after `moment`."""
    verified = day.verified_at is not None and day.verified_at <= moment
    return {
        "version": day.version,
        "is_partial": day.is_partial,
        "environment": day.environment,
        "committed_at": rfc3339(day.committed_at),
        "raw_records": day.raw_records,
        "raw_bytes": day.raw_bytes,
        "normalized_records": day.normalized_records,
        "normalized_bytes": day.normalized_bytes,
        "overlap_count": day.overlap_count,
        "nats_lost_count": day.nats_lost_count,
        "manifest_key": day.manifest_key,
        "manifest_sha256": day.manifest_sha256,
        "previous_sha256": day.previous_sha256 or None,
        "plan_sha256": day.plan_sha256,
        "verified_at": rfc3339(day.verified_at) if verified else None,
        "verify_result": day.verify_result if verified else None,
    }


def schema_document(schema: SchemaVersion) -> dict[str, Any]:
    """A schema version without its text."""
    return {
        "name": schema.name,
        "version": schema.version,
        "format": schema.format,
        "status": schema.status,
        "schema_hash": schema.schema_hash,
        "effective_from": schema.effective_from,
        "deprecated_at": schema.deprecated_at,
        "compatible_with": schema.compatible_with,
        "breaking_changes": schema.breaking_changes,
    }


def environment_document(environment: Environment, moment: datetime) -> dict[str, Any]:
    """An environment, with the version that was applied then; never its configuration."""
    versions = list(environment.versions.all())
    applied = [version for version in versions if _was_applied(version, moment)]
    return {
        "name": environment.name,
        "description": environment.description,
        "status": environment.status,
        "feed": versions[-1].feed.name if versions else None,
        "versions": len(versions),
        "applied": environment_version_document(applied[0]) if applied else None,
    }


def _was_applied(version: EnvironmentVersion, moment: datetime) -> bool:
    begun = version.valid_from is not None and version.valid_from <= moment
    return begun and (version.valid_to is None or version.valid_to > moment)


def environment_version_document(version: EnvironmentVersion) -> dict[str, Any]:
    """Which configuration was applied, and when."""
    return {
        "version": version.version,
        "feed": version.feed.name,
        "config_hash": version.config_hash,
        "valid_from": rfc3339(version.valid_from),
        "valid_to": rfc3339(version.valid_to),
        "deployed_by": version.deployed_by,
    }
