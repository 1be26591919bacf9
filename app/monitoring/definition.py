"""What a schedule says, checked as far as it can be without the registry."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from app.generation.schemas import CandidateSpec
from app.kit.errors import FieldError
from app.monitoring.crontab import next_time, time_zone
from app.registry.contents import several, unrepresentable
from app.registry.kinds.base import Content, Reference, invalid
from app.registry.names import label_problem, parse_ref

ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
SuiteRef = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Schedule(Content, frozen=True):
    """When to run which suites on what.

    With `cron` (five fields, in `timezone`) it runs `candidates`, or what is `live`: `production` stands for every prompt
    that carries this label, `docs/answer@production` for that prompt. With `on: new_endpoint` it is a sentinel: an endpoint
    that is registered is run with `prompt` and compared with `champion`, or else with the endpoint that is live in production.
    The other fields are those of the runs that it makes.
    """

    cron: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    timezone: Annotated[str, msgspec.Meta(max_length=100)] = "UTC"
    on: Literal["new_endpoint"] | None = None
    suite: SuiteRef | None = None
    suites: Annotated[list[SuiteRef], msgspec.Meta(max_length=20)] = []
    candidates: Annotated[list[CandidateSpec], msgspec.Meta(max_length=100)] = []
    live: str | None = None
    baseline: CandidateSpec | None = None
    prompt: str | None = None
    champion: str | None = None
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    budget_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    max_cases: Annotated[int, msgspec.Meta(ge=1)] | None = None
    fresh: bool = False
    priority: Literal["high", "normal", "low"] = "low"
    enabled: bool = True
    description: Annotated[str, msgspec.Meta(max_length=10_000)] = ""

    @property
    def every_suite(self) -> list[str]:
        return [*([] if self.suite is None else [self.suite]), *self.suites]

    def next_after(self, after: datetime) -> datetime | None:
        """When it is due next; None when it is off or waits for endpoints."""
        return next_time(self.cron, self.timezone, after) if self.cron is not None and self.enabled else None


def parse(data: Any, pointer: str = "") -> Schedule:
    """Raises `InvalidContentError` with the pointers of all that is wrong, below `pointer`."""
    found = list(unrepresentable(data))
    if not found:
        try:
            schedule = msgspec.convert(data, Schedule)
        except msgspec.ValidationError as error:
            raise invalid(error, pointer, known=Schedule) from error
        found = list(faults(schedule))
        if not found:
            return schedule
    raise several([FieldError(pointer + fault.pointer, fault.detail) for fault in found])


def faults(schedule: Schedule) -> Iterator[FieldError]:
    """What the types cannot say."""
    if (schedule.cron is None) == (schedule.on is None):
        yield FieldError("/cron", "say when: either `cron`, such as `0 3 * * *`, or `on: new_endpoint`")
    if schedule.cron is not None:
        yield from _bad_time(schedule.cron, schedule.timezone)
    if not schedule.every_suite:
        yield FieldError("/suite", "name a suite")
    if len(set(schedule.every_suite)) < len(schedule.every_suite):
        yield FieldError("/suites", "a suite comes twice")
    for reference in references(schedule):
        if reference.pointer.split("/")[1] in ("suite", "suites", "prompt"):
            yield from _no_name(reference)
    if schedule.on is not None:
        yield from _bad_sentinel(schedule)
        return
    for name in ("prompt", "champion"):
        if getattr(schedule, name) is not None:
            yield FieldError(f"/{name}", f"`{name}` belongs to `on: new_endpoint`; use `candidates` or `live`")
    if bool(schedule.candidates) == (schedule.live is not None):
        yield FieldError("/candidates", "say what to run: either `candidates`, or `live` such as production")
    if schedule.live is not None and (problem := _bad_live(schedule.live)):
        yield FieldError("/live", problem)


def _no_name(reference: Reference) -> Iterator[FieldError]:
    """Suites and a sentinel's prompt are known by name: whether they are archived or live goes by it."""
    try:
        parse_ref(reference.ref)
    except ValueError as error:
        yield FieldError(reference.pointer, str(error))


def _bad_time(cron: str, zone: str) -> Iterator[FieldError]:
    try:
        time_zone(zone)
    except ValueError as error:
        yield FieldError("/timezone", str(error))
        return
    try:
        next_time(cron, zone, ANY_TIME)
    except ValueError as error:
        yield FieldError("/cron", str(error))


def _bad_sentinel(schedule: Schedule) -> Iterator[FieldError]:
    if schedule.prompt is None:
        yield FieldError("/prompt", "name the prompt that new endpoints are run with")
    for name in ("candidates", "live", "baseline"):
        if getattr(schedule, name):
            yield FieldError(f"/{name}", f"`{name}` belongs to `cron`; use `prompt` and `champion`")


def _bad_live(live: str) -> str | None:
    name, _, label = live.rpartition("@")
    if problem := label_problem(label):
        return problem
    try:
        parse_ref(live if name else f"any@{label}")
    except ValueError as error:
        return str(error)
    return None


def references(schedule: Schedule) -> Iterator[Reference]:
    """What must exist, by the pointer to where it is named."""
    if schedule.suite is not None:
        yield Reference("/suite", "suite", schedule.suite)
    for i, suite in enumerate(schedule.suites):
        yield Reference(f"/suites/{i}", "suite", suite)
    given = [(f"/candidates/{i}", candidate) for i, candidate in enumerate(schedule.candidates)]
    given += [("/baseline", schedule.baseline)] if schedule.baseline is not None else []
    for pointer, candidate in given:
        for kind in ("prompt", "rag_config", "tool_config", "endpoint"):
            if isinstance(ref := getattr(candidate, kind), str):
                yield Reference(f"{pointer}/{kind}", kind, ref)
    if schedule.prompt is not None:
        yield Reference("/prompt", "prompt", schedule.prompt)
    if schedule.champion is not None:
        yield Reference("/champion", "endpoint", schedule.champion)
    if schedule.live is not None and "@" in schedule.live:
        yield Reference("/live", "prompt", schedule.live.partition("@")[0])
