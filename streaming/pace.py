"""How much may be on its way to the bus, and what of it counts as lost. Pure: times are monotonic seconds.

A slow bus answers late, and what is then sent again makes it slower still; a deaf one does not answer at all.
"""

ACK_WITHIN_SECONDS = 2.0
MOST = 4096  # messages that may wait for their ack
FIRST, LEAST = 512, 32
QUICK_SECONDS, SLOW_SECONDS = 0.75, 1.5


class Pace:
    """One publisher's window: wider with each quick answer, half as wide after a slow one."""

    def __init__(self) -> None:
        self.window = FIRST
        self._narrowed_at = self._answered_at = self._newest_answered = 0.0

    def answered(self, sent_at: float, now: float) -> None:
        """The bus acknowledged a message that was sent at this time."""
        self._answered_at = now
        if sent_at > self._newest_answered:
            self._newest_answered = sent_at
        if now - sent_at <= QUICK_SECONDS:
            if self.window < MOST:
                self.window += 1
        elif (
            now - sent_at > SLOW_SECONDS and sent_at >= self._narrowed_at
        ):  # once for all that was on the way
            self.window, self._narrowed_at = max(self.window // 2, LEAST), now

    def lost_before(self, now: float) -> float:
        """What was sent up to this time and has no answer is lost: the bus answers in order, or is deaf."""
        in_time = now - ACK_WITHIN_SECONDS
        return min(in_time, self._newest_answered) if self._answered_at > in_time else in_time
