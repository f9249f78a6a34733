from pathlib import Path

from ssmd.runtime.flow import SILENCE_SECONDS, Seen, captured_bytes


def seen_all() -> Seen:
    return Seen(captured_bytes=1, bus_messages=1, bus_last=10.0, stream_open_since=10.0, stream_messages=1)


def test_data_flow_when_they_are_seen_in_all_three_places() -> None:
    assert seen_all().flows(10.0)


def test_each_missing_place_names_what_to_look_at_first() -> None:
    cases = {
        "connector": Seen(),
        "web": Seen(captured_bytes=1, bus_messages=1),
    }
    for first, seen in cases.items():
        assert not seen.flows(1e9)
        assert seen.suspects()[1][0] == first
    assert "nats" in Seen(captured_bytes=1).suspects()[1]


def test_a_recording_that_ended_before_the_gateway_was_up_has_flowed() -> None:
    seen = seen_all()
    seen.stream_messages = 0
    assert not seen.flows(10.0 + SILENCE_SECONDS / 2)
    assert seen.flows(10.0 + SILENCE_SECONDS + 0.1)


def test_a_gateway_that_passes_nothing_on_from_a_busy_bus_does_not_flow() -> None:
    seen = seen_all()
    seen.stream_messages, seen.bus_last = 0, 1000.0
    assert not seen.flows(1000.5)


def test_the_capture_log_is_measured_over_all_sessions(tmp_path: Path) -> None:
    for session in ("a", "b"):
        (tmp_path / session).mkdir()
        (tmp_path / session / "1.log").write_bytes(b"12345")
    (tmp_path / "a" / "cursor").write_bytes(b"123")
    assert captured_bytes(tmp_path) == 10
    assert captured_bytes(tmp_path / "none") == 0
