"""One clock, passed in, so that a test can move it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The time now, aware, in UTC."""
        ...


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC with a `Z`, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
