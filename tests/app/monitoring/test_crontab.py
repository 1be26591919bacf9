"""Times of cron expressions, where clocks change."""

from datetime import UTC, datetime
from time import monotonic

import pytest

from app.monitoring.crontab import next_time


def following(cron: str, zone: str, start: str, count: int) -> list[str]:
    now, found = datetime.fromisoformat(start).astimezone(UTC), []
    for _ in range(count):
        now = next_time(cron, zone, now)
        found.append(now.strftime("%m-%d %H:%M"))
    return found


def test_an_hour_that_spring_leaves_out_is_run_right_after_the_gap() -> None:
    found = following("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3)
    assert found == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_fixed_hour_that_comes_twice_in_autumn_is_run_once() -> None:
    found = following("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)
    assert found == ["10-25 00:30", "10-26 01:30"]


def test_what_runs_every_hour_runs_in_both_of_autumn_s_hours_and_in_none_twice() -> None:
    found = following("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4)
    assert found == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]
    assert following("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 3) == [
        "03-29 00:00",
        "03-29 01:00",
        "03-29 02:00",
    ]


def test_the_29th_of_february_is_waited_for() -> None:
    assert next_time("0 0 29 2 *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_day_that_no_year_has_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="never fires"):
        next_time(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


def test_letters_that_could_be_read_in_very_many_ways_are_refused_at_once() -> None:
    began = monotonic()
    with pytest.raises(ValueError, match="no cron expression"):
        next_time("l" * 190 + "! * * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    assert monotonic() - began < 1
