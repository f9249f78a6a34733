"""The archiver: from the stream to provisional parts, at least once; its position stands in its own manifests."""

from typing import NamedTuple

from tests.model.world import Event, Message, OtherContent, Steps, World, put

BATCH = 4


class Position(NamedTuple):
    """How far a provisional part reaches: in which stream, to which message."""

    epoch: int
    seq: int
    anchor: int


def archiver(world: World) -> Steps:
    """Reads on from the furthest manifest that the stream still confirms; several may do so at once."""
    stream = world.stream
    while True:
        yield
        epoch, restarts, after = stream.epoch, stream.restarts, _resume(world)
        while True:
            yield
            if stream.restarts != restarts and world.design.archiver_notices_restarts:
                break  # nothing may be read on a new connection before the position is confirmed on it
            found = stream.read(epoch, after, world.random.randint(1, BATCH))
            if not found:
                continue
            position = Position(epoch, found[-1][0], _anchor(world, found[-1][1]))
            try:
                yield from _keep(world, position, found[0][0], tuple(message.event for _, message in found))
            except OtherContent:
                break
            after = position.seq


def _resume(world: World) -> int:
    """Numbers are used again after a loss, and begin again in a new stream: the message itself has to be there."""
    design, stream = world.design, world.stream
    known: list[Position] = list(world.store.kinds["position"].values())
    if design.position_knows_the_stream:
        known = [one for one in known if one.epoch == stream.epoch]
    if design.position_is_anchored:
        known = [one for one in known if _is_confirmed(world, one)]
    return max((one.seq for one in known), default=0)


def _anchor(world: World, message: Message) -> int:
    return message.stamp if world.design.anchor_has_a_time else message.event.uid


def _is_confirmed(world: World, position: Position) -> bool:
    message = world.stream.at(position.seq)
    return position.seq < world.stream.first_seq or (
        message is not None and _anchor(world, message) == position.anchor
    )


def _keep(world: World, position: Position, first: int, events: tuple[Event, ...]) -> Steps:
    design = world.design
    key = (position.epoch, first, position.seq, world.next_uid() if design.provisional_keys_are_unique else 0)
    steps = [("provisional", events), ("position", position)]
    for kind, value in steps if design.provisional_data_before_position else reversed(steps):
        yield from put(world, kind, key, value)
        yield


def provisional(world: World) -> list[Event]:
    """What a reader of today's normalized parts gets."""
    kinds = world.store.kinds
    found = [event for key in kinds["position"] for event in kinds["provisional"].get(key, ())]
    return list(dict.fromkeys(found)) if world.design.readers_know_identities else found
