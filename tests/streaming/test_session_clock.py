from streaming.session_clock import SessionClock, Stepped

SECOND = 10**9


class Clocks:
    """A wall clock and a monotonic one, that the test moves."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000 * SECOND, 5 * SECOND

    def pass_by(self, ns: int) -> None:
        self.wall += ns
        self.steady += ns

    def session(self) -> SessionClock:
        return SessionClock(lambda: self.wall, lambda: self.steady)


def test_time_passes_as_the_monotonic_clock_says() -> None:
    clocks = Clocks()
    clock = clocks.session()
    clocks.pass_by(SECOND)

    assert (clock.now_ns(), clock.steady_ns()) == (1_001 * SECOND, 6 * SECOND)
    assert clock.check() is None


def test_a_clock_that_is_slewed_is_followed() -> None:
    clocks = Clocks()
    clock = clocks.session()
    clocks.wall -= SECOND // 4

    assert clock.check() is None
    assert clock.now_ns() == clocks.wall


def test_a_step_forward_is_told_once_and_followed() -> None:
    clocks = Clocks()
    clock = clocks.session()
    clocks.wall += 3600 * SECOND

    assert clock.check() == Stepped(3600 * SECOND, 0)
    assert clock.check() is None
    assert clock.now_ns() == clocks.wall


def test_a_step_back_is_told_once_and_not_followed() -> None:
    clocks = Clocks()
    clock = clocks.session()
    before = clock.now_ns()
    clocks.wall -= 3600 * SECOND

    assert clock.check() == Stepped(-3600 * SECOND, 3600 * SECOND)
    assert clock.check() is None
    assert clock.now_ns() == before
    clocks.wall += 3600 * SECOND
    assert clock.check() == Stepped(3600 * SECOND, 0)
