"""The date in the output against the date in the reference, however they are written."""

import datetime
import functools
import re
from typing import NamedTuple

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?:(?:T|,?\s(?:at\s)?)(?P<hour>[0-2]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?P<fraction>[.,]\d{1,9})?)?(?:\s?(?P<half>[ap]\.?m\b\.?))?(?:\s?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b))?)?"
_FORMS = (
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>[01]?\d)(?P=sign)(?P<day>[0-3]?\d)",
    r"(?P<first>[0-3]?\d)(?P<sign>[-/.])(?P<other>[0-3]?\d)(?P=sign)(?P<year>\d{4}|\d{2})",
    rf"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\.?[\s-](?:of\s)?(?P<word>{_MONTH})[\s,-]{{1,2}}(?P<year>\d{{4}})",
    rf"(?P<word>{_MONTH})[\s-](?P<day>[0-3]?\d)(?:st|nd|rd|th)?,?[\s-](?P<year>\d{{4}})",
    r"(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)",
)
_PIVOT = 69  # as in POSIX: 69 to 99 are of the 20th century


class Moment(NamedTuple):
    """A date as it was written, and the instant when there was a time of day; without a zone it is taken as UTC."""

    date: datetime.date
    instant: datetime.datetime | None
    written: str


class AmbiguousError(ValueError):
    """The numbers can be read as two dates."""


class DateEqual(Scorer, frozen=True):
    """1 when the output's date equals the reference's within the tolerance, else 0.

    Read are ISO 8601 ("2024-03-05", "20240305", "2024-03-05T14:30:00+01:00"), English months ("5 March 2024", "Mar 5th,
    2024, 2:30 pm") and numbers ("5.3.2024", "05/03/2024"); two digits of a year are 1969 to 2068. The output's date is
    the last one after the last occurrence of `after`, or without `after` the last one at all. In numbers with points the
    day comes first; with strokes `day_first` says it, and without `day_first` a date such as 03/04/2024 is ambiguous:
    unparsable (0) in an output, skipped in a reference, never guessed.

    With a time of day on both sides instants are compared, a time without a zone being UTC; else the dates as written.
    Equal means at most `tolerance_days` plus `tolerance_seconds` apart (dates alone: whole days). No date there, as in an
    empty output, or one that the calendar has not: unparsable (0); a reference without one is skipped. Several references: the
    best counts. Range {0, 1}, higher is better. Source: ISO 8601-1:2019; POSIX strptime for two-digit years.
    """

    name = "date_equal"
    version = 2
    needs = frozenset({"reference"})
    binary = True
    example = {"day_first": True, "tolerance_days": 1}

    after: str | None = None
    day_first: bool | None = None
    tolerance_days: int = 0
    tolerance_seconds: float = 0.0

    def check(self) -> None:
        super().check()
        if self.after == "":
            raise ScorerConfigError("give the text that stands before the date", "/args/after")
        if not 0 <= self.tolerance_days <= 1_000_000:
            raise ScorerConfigError("tolerance_days is a number between 0 and a million", "/args/tolerance_days")
        if not 0 <= self.tolerance_seconds <= 1e9:
            raise ScorerConfigError("tolerance_seconds is a number between 0 and 1e9", "/args/tolerance_seconds")

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is not None or self._expected(sample):
            return reason
        return f"{self.name} needs a date that can be read one way, and the reference is {clip(str(sample.reference))}"

    def measure(self, sample: Sample) -> Score:
        tail = sample.output
        if self.after is not None:
            _, mark, tail = tail.rpartition(self.after)
            if not mark:
                return Score.unparsable(f"the output does not have {clip(self.after)}")
        try:
            found = last_date(tail, day_first=self.day_first)
        except AmbiguousError as exc:
            return Score.unparsable(f"{exc}; set day_first")
        if found is None:
            return Score.unparsable(f"the output has no date; found {clip(tail[-80:])}")
        expected = self._expected(sample)
        same = any(self._equal(found, each) for each in expected)
        wanted = " or ".join(_shown(each) for each in expected[:5])
        return self.scored(float(same), f"found {_shown(found)} ({clip(found.written)}), expected {wanted}")

    def _expected(self, sample: Sample) -> list[Moment]:
        found = []
        for each in texts(sample.references):
            try:
                moment = last_date(each, day_first=self.day_first)
            except AmbiguousError:
                continue
            if moment is not None:
                found.append(moment)
        return found

    def _equal(self, found: Moment, expected: Moment) -> bool:
        if found.instant is not None and expected.instant is not None:
            apart = abs((found.instant - expected.instant).total_seconds())
            return apart <= self.tolerance_days * 86400 + self.tolerance_seconds
        return abs((found.date - expected.date).days) <= self.tolerance_days


def last_date(text: str, *, day_first: bool | None = None) -> Moment | None:
    """The last date of a text, or None. Raises AmbiguousError when day and month cannot be told apart."""
    best: re.Match[str] | None = None
    for form in _forms():
        for match in form.finditer(text):
            if best is None or match.end() > best.end():
                best = match
    return None if best is None else _moment(best, day_first)


@functools.cache
def _forms() -> list[re.Pattern[str]]:
    """Compiled when they are first needed: a command that starts imports every scorer."""
    return [re.compile(rf"(?i)(?<![\w./-]){form}{_TIME}(?![\w/-]|\.\d)") for form in _FORMS]


def _moment(match: re.Match[str], day_first: bool | None) -> Moment | None:
    parts = match.groupdict()
    year = int(parts["year"])
    if len(parts["year"]) == 2:
        year += 1900 if year >= _PIVOT else 2000
    if parts.get("first"):
        day, month = _day_and_month(
            int(parts["first"]), int(parts["other"]), parts["sign"] == "." or day_first, match[0]
        )
    else:
        day = int(parts["day"])
        word = parts.get("word")
        month = _MONTHS.index(word[:3].lower()) + 1 if word else int(parts["month"])
    try:
        date = datetime.date(year, month, day)
        return Moment(date, _instant(date, parts), match[0])
    except (ValueError, OverflowError):  # 30 February, 25 o'clock, a zone of 99 hours
        return None


def _day_and_month(first: int, other: int, day_first: bool | None, written: str) -> tuple[int, int]:
    if day_first is None:
        if first > 12 or first == other:
            return first, other
        if other > 12:
            return other, first
        raise AmbiguousError(f"{written} can be read with the day or the month first")
    return (first, other) if day_first else (other, first)


def _instant(date: datetime.date, parts: dict[str, str | None]) -> datetime.datetime | None:
    if parts["hour"] is None:
        return None
    hour = int(parts["hour"])
    half = (parts["half"] or "")[:1].lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} {half}m")
        hour = hour % 12 + (12 if half == "p" else 0)
    micro = int(float("0" + (parts["fraction"] or ".0").replace(",", ".")) * 1_000_000)
    zone = datetime.UTC
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", parts["zone"] or "")
    if offset:
        away = datetime.timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        zone = datetime.timezone(away if offset[1] == "+" else -away)
    time = datetime.time(hour, int(parts["minute"] or 0), int(parts["second"] or 0), micro, tzinfo=zone)
    return datetime.datetime.combine(date, time)


def _shown(moment: Moment) -> str:
    return (moment.instant or moment.date).isoformat()
