"""Times of a cron expression of five fields, in a time zone."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
# Possessive: tried one way only, because the three letters of a name may also be three of `l`.
_FIELD = re.compile(r"(?:[0-9*/,#-]|[a-zA-Z]{3}|[lL])++")


def time_zone(name: str) -> ZoneInfo:
    """Raises `ValueError` with a sentence that says what is wrong."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; use a name such as Europe/Berlin, or UTC") from error


def next_time(cron: str, zone: str, after: datetime) -> datetime:
    """The first time after `after` (aware), in UTC.

    An hour that is left out in spring is run right after the gap. In autumn, times of a fixed hour that comes twice are
    run once; those of every hour are run in both. Raises `ValueError` with a sentence that says what is wrong.
    """
    from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]

    place, fields = time_zone(zone), cron.split()
    if len(fields) != len(FIELDS) or not all(_FIELD.fullmatch(field) for field in fields):
        raise ValueError(
            f"{cron!r} is no cron expression: give {', '.join(FIELDS)}, such as `0 3 * * *` for 3:00 at night"
        )
    try:
        times = croniter(cron, after.astimezone(place))
        found: datetime = times.get_next(datetime)
        while found.fold == 1 and "*" not in fields[1]:
            found = times.get_next(datetime)
    except CroniterBadDateError as error:
        raise ValueError(f"{cron!r} never fires: no year has such a day") from error
    except (CroniterError, ValueError, OverflowError) as error:
        raise ValueError(f"{cron!r} is no cron expression: {error}") from error
    return found.astimezone(UTC)
