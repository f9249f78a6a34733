"""Delivery, modelled: see `tests.model.figures` for how to read it. 2,000 schedules here, 100,000 by `make soak`."""

from collections.abc import Callable

import pytest

from tests.model.design import DELETED_MANIFESTS, LATE_PUTS, Faults
from tests.model.figures import CONTROLS, DESIGN, tally
from tests.model.schedule import run

PIECE = 100
FAULT_KINDS = 19

# Within how many schedules the model misses each control: several times what was seen.
CAUGHT_WITHIN = {
    "connector_writes_end_marks_under_lock": 50,
    "torn_tail_is_cut": 50,
    "end_mark_follows_crash_mark_once": 250,
    "log_is_durable_before_commit": 250,
    "trim_waits_for_commit": 1200,
    "trim_waits_for_publish": 500,
    "published_means_acknowledged": 250,
    "position_is_the_stores": 50,
    "data_before_manifest": 50,
    "put_if_absent": 500,
    "parts_end_at_midnight": 50,
    "inputs_are_planned": 50,
    "version_builds_on_the_sealed": 100,
    "outputs_before_commit": 50,
    "seal_keeps_gaps": 100,
    "late_parts_make_a_version": 50,
    "sealer_may_be_overtaken": 100,
    "gc_waits_for_commit": 50,
    "gc_spares_what_the_plan_lacks": 250,
    "reader_lists_parts_before_seals": 1500,
    "provisional_data_before_position": 250,
    "position_is_anchored": 50,
    "anchor_has_a_time": 500,
    "archiver_notices_restarts": 50,
    "provisional_keys_are_unique": 500,
    "readers_know_identities": 50,
}
# Another control stands in for them here; they are kept for what the model does not know.
NEVER_MISSED = {
    "shipper_lock_is_respected",  # readers merge what two shippers cut differently
    "position_reads_seals",  # likewise what is shipped once more
    "holes_are_filled_exactly",  # parts are committed in order of n, unless a manifest was deleted: see below
    "plan_knows_ranges",  # the same
    "gc_deletes_manifest_first",  # readers look at no part that a seal covers
    "position_knows_the_stream",  # the anchor's stamp is not there in another stream
}

# Schedules that take more than five seconds on a busy machine.
LONG = 400


@pytest.mark.parametrize("first", range(0, 2000, PIECE))
def test_nothing_is_lost_unnoticed_and_nothing_is_there_twice(
    first: int, record_property: Callable[[str, object], None]
) -> None:
    found = tally(range(first, first + PIECE))
    record_property("model", found.text())
    assert not found.verdicts, found.text()


def test_the_schedules_meet_every_fault() -> None:
    found = tally(range(200))
    assert len(found.faults) == FAULT_KINDS, found.text()
    assert min(found.faults.values()) >= 1
    assert sum(found.faults.values()) > 10 * found.schedules
    assert found.frames > 10 * found.schedules
    assert found.lost_by_power > 0


def test_a_schedule_is_repeated_by_its_seed() -> None:
    assert run(7, DESIGN, Faults()) == run(7, DESIGN, Faults())


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(control, marks=[pytest.mark.slow] if within > LONG else [])
        for control, within in CAUGHT_WITHIN.items()
    ],
)
def test_the_model_fails_without(control: str, record_property: Callable[[str, object], None]) -> None:
    found = tally(range(CAUGHT_WITHIN[control]), DESIGN.without(control), stop_at=1)
    record_property("caught after", found.schedules)
    assert found.bad


@pytest.mark.parametrize("control", sorted(NEVER_MISSED))
def test_the_model_does_not_miss(control: str) -> None:
    assert not tally(range(200), DESIGN.without(control)).verdicts


def test_every_control_is_accounted_for() -> None:
    assert CAUGHT_WITHIN.keys() | NEVER_MISSED | {"overlaps_are_merged"} == set(CONTROLS)


def test_the_model_fails_without_merging_where_a_manifest_was_deleted() -> None:
    design = DESIGN.without("overlaps_are_merged")
    found = tally(range(500), design, DELETED_MANIFESTS, stop_at=1)
    assert "a day cannot be read: its parts overlap" in found.verdicts


@pytest.mark.slow
@pytest.mark.parametrize("faults", [LATE_PUTS, DELETED_MANIFESTS], ids=["late puts", "deleted manifests"])
def test_readers_that_merge_overlapping_parts_by_number_bear(faults: Faults) -> None:
    found = tally(range(350), DESIGN, faults)
    assert not found.verdicts, found.text()


@pytest.mark.slow
def test_merging_alone_does_not_mend_a_plan_that_knows_only_last_numbers() -> None:
    design = DESIGN.without("plan_knows_ranges")
    assert "a record is lost" in tally(range(1000), design, DELETED_MANIFESTS, stop_at=1).verdicts
