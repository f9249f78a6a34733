"""SQL written against the design runs: its tables, columns, unique sets and index names are in the database."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

TABLES = {
    "feeds": "id name display_name feed_type status created_at updated_at",
    "feed_versions": """id feed_id version effective_from effective_to protocol endpoint_template auth_method
        secret_ref supports_orderbook supports_trades supports_historical max_symbols_per_connection
        rate_limit_per_second parser_config""",
    "feed_calendars": """id feed_id effective_from effective_to timezone open_time close_time
        holiday_calendar""",
    "data_inventory": """id feed_id data_type date storage_path schema_version symbol_count record_count
        byte_size first_timestamp last_timestamp status gap_count quality_score connector_version
        processor_version processed_at""",
    "data_gaps": "id inventory_id gap_start gap_end gap_type resolved resolved_at notes",
    "data_quality_issues": "id inventory_id issue_type severity count sample_data detected_at",
    "schema_versions": """id name version format schema_definition schema_hash status effective_from
        deprecated_at compatible_with breaking_changes created_at""",
    "schema_migrations": """id from_version_id to_version_id migration_type migration_script executed_at
        executed_by status""",
    "environments": "id name description status created_at",
    "environment_versions": """id environment_id version config_yaml config_hash deployed_at deployed_by
        git_commit valid_from valid_to""",
    "deployment_log": """id environment_version_id action status started_at completed_at error_message
        trigger triggered_by""",
    "markets": """id ticker kalshi_id title category status open_time close_time expiration_time
        settlement_time result settled_at created_at updated_at raw_metadata""",
    "market_history": "id market_id field_name old_value new_value changed_at",
}
UNIQUE = {
    "feeds": ["name"],
    "feed_versions": ["feed_id", "effective_from"],
    "feed_calendars": ["feed_id", "effective_from"],
    "data_inventory": ["feed_id", "data_type", "date", "schema_version"],
    "schema_versions": ["name", "version"],
    "schema_migrations": ["from_version_id", "to_version_id"],
    "environments": ["name"],
    "environment_versions": ["environment_id", "version"],
    "markets": ["feed_id", "ticker"],  # markets of several feeds may share a ticker
}
INDEXES = {"markets": {"idx_markets_ticker", "idx_markets_status", "idx_markets_expiration"}}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_the_design_has_its_columns(table: str) -> None:
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}

    assert set(TABLES[table].split()) <= columns


@pytest.mark.parametrize("table", UNIQUE)
def test_what_is_unique_in_the_design_is_unique(table: str) -> None:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table).values()

    assert UNIQUE[table] in [constraint["columns"] for constraint in constraints if constraint["unique"]]


@pytest.mark.parametrize("table", INDEXES)
def test_indexes_have_the_design_s_names(table: str) -> None:
    with connection.cursor() as cursor:
        assert INDEXES[table] <= set(connection.introspection.get_constraints(cursor, table))
