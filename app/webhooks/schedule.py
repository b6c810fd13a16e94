"""When a delivery that failed is sent again, and when an endpoint is given up. Pure."""

from datetime import timedelta
from itertools import accumulate

from app.webhooks.events import EventType

#: Waits between one try and the next: each some times longer than the one before, for as long as
#: somebody may be away over a weekend.
RETRIES: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=3),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=8),
    timedelta(hours=16),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: From the first try to the last, if each fails at once.
LASTS = list(accumulate(RETRIES))[-1]
#: A wait is longer or shorter by up to this part of it, so that what failed together does not come
#: back together.
JITTER = 0.1
#: An endpoint that took nothing for so long, though it was tried, is sent nothing more.
GIVEN_UP_AFTER = timedelta(days=3)


def next_wait(event: EventType, tries: int, luck: float) -> timedelta | None:
    """How long to wait after so many tries; None: not again.

    ``luck`` is between 0 and 1, and decides about the jitter. A test is tried once.

    >>> str(next_wait(EventType.HOLD_PLACED, 1, luck=0.5))
    '0:00:05'
    """
    if event is EventType.PING or tries > len(RETRIES):
        return None
    return RETRIES[tries - 1] * (1 + JITTER * (2 * luck - 1))
