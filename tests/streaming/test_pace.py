from streaming.pace import ACK_WITHIN_SECONDS, FIRST, LEAST, MOST, Pace


def test_quick_answers_widen_the_window_up_to_its_most() -> None:
    pace = Pace()

    for second in range(2 * MOST):
        pace.answered(second, second + 0.01)

    assert pace.window == MOST


def test_all_that_was_on_the_way_to_a_slow_bus_narrows_the_window_once() -> None:
    pace = Pace()

    for index in range(100):
        pace.answered(10 + index / 1000, 12)

    assert pace.window == FIRST // 2


def test_a_bus_that_stays_slow_is_left_a_little() -> None:
    pace = Pace()

    for second in range(0, 100, 2):
        pace.answered(second, second + 2)

    assert pace.window == LEAST


def test_nothing_is_lost_before_its_time() -> None:
    assert Pace().lost_before(100) == 100 - ACK_WITHIN_SECONDS


def test_what_a_slow_bus_did_not_get_to_yet_is_not_lost() -> None:
    pace = Pace()

    pace.answered(50, 99.9)

    assert pace.lost_before(100) == 50


def test_what_was_overtaken_is_lost_in_time() -> None:
    pace = Pace()

    pace.answered(99, 99.9)

    assert pace.lost_before(100) == 100 - ACK_WITHIN_SECONDS


def test_a_bus_that_fell_silent_has_lost_all_that_is_due() -> None:
    pace = Pace()

    pace.answered(50, 60)

    assert pace.lost_before(100) == 100 - ACK_WITHIN_SECONDS
