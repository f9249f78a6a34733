"""What a run of the model is told: which controls the design has, and how often what goes wrong."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Design:
    """One control each; a mutant is the design without one of them."""

    # the capture log and its reader
    connector_writes_end_marks_under_lock: bool = True
    torn_tail_is_cut: bool = True
    end_mark_follows_crash_mark_once: bool = True
    log_is_durable_before_commit: bool = True
    trim_waits_for_commit: bool = True
    trim_waits_for_publish: bool = True
    published_means_acknowledged: bool = True
    # raw parts
    shipper_lock_is_respected: bool = True
    position_is_the_stores: bool = True
    position_reads_seals: bool = False  # it need not: readers merge what is shipped once more
    holes_are_filled_exactly: bool = True  # else a shipper goes on from the first hole as it pleases
    data_before_manifest: bool = True
    put_if_absent: bool = True
    parts_end_at_midnight: bool = True
    overlaps_are_merged: bool = (
        True  # by number, of which each has one content; else a day with overlapping parts is refused
    )
    # the seal
    inputs_are_planned: bool = True
    plan_knows_ranges: bool = True  # else the last n of each session, and a hole before it refuses the day
    version_builds_on_the_sealed: bool = True  # else each version reads all parts again
    outputs_before_commit: bool = True
    seal_keeps_gaps: bool = True
    late_parts_make_a_version: bool = True
    sealer_may_be_overtaken: bool = True  # an input that is gone is no error once its version is committed
    gc_waits_for_commit: bool = True
    gc_spares_what_the_plan_lacks: bool = True
    gc_deletes_manifest_first: bool = True
    reader_lists_parts_before_seals: bool = True
    # the bus and the provisional archive
    provisional_data_before_position: bool = True
    position_knows_the_stream: bool = True  # its time of creation
    position_is_anchored: bool = True  # to the message that it names
    anchor_has_a_time: bool = True  # else only the identity of the message
    archiver_notices_restarts: bool = True  # and asks anew whether the stream still confirms its position
    provisional_keys_are_unique: bool = True
    readers_know_identities: bool = True  # else only the stream's own window removes repeats

    def without(self, *controls: str) -> "Design":
        """This design with each of these controls turned to its opposite."""
        return replace(self, **{name: not getattr(self, name) for name in controls})


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances: of a call to fail, and of an event at each step of a schedule."""

    put_fails: float = 0.06
    answer_lost: float = 0.06  # stored all the same
    publish_fails: float = 0.08
    ack_lost: float = 0.06
    kill: float = 0.035
    power_loss: float = 0.005
    tail_loss: float = 0.006  # the stream forgets its end
    purge: float = 0.003
    recreate: float = 0.003
    midnight: float = 0.012
    put_lands_late: float = 0.0  # after the process that sent it is dead
    manifest_deleted: float = 0.0  # by hand


NO_FAULTS = Faults(**dict.fromkeys(Faults.__dataclass_fields__, 0.0))
LATE_PUTS = replace(Faults(), put_lands_late=0.25)  # no store promises against it, a proxy may do it
DELETED_MANIFESTS = replace(Faults(), manifest_deleted=0.006)
