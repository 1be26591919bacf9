"""From a schedule and one of its suites to the run that is asked for."""

from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.generation.schemas import CandidateSpec
from app.kit.errors import InvalidContentError, NotFoundError
from app.monitoring.definition import Schedule
from app.registry.environments import PRODUCTION, Environments
from app.registry.names import parse_ref
from app.registry.service import Registry
from app.runs.schemas import RunCreate

Live = Callable[[AsyncSession, str, str], Awaitable[dict[str, CandidateSpec]]]
"""`(session, project, environment) -> what a release made live there, by prompt`: told by the room that releases."""

MOST = 100


class Asking:
    """Within the caller's transaction. What it raises is the reason why there is no run."""

    def __init__(self, session: AsyncSession, project_id: str, live: Live) -> None:
        self._session, self._project_id, self._live = session, project_id, live
        self._registry = Registry(session, project_id)

    async def run(self, schedule: Schedule, suite: str, endpoint: str | None) -> RunCreate:
        """Raises `InvalidContentError` or `NotFoundError` when there is nothing to run."""
        name = parse_ref(suite).name
        if (await self._registry.known("suite", name)).archived_at is not None:
            raise InvalidContentError.at(
                "/suite", f"the suite {name!r} is archived; restore it, or change the schedule"
            )
        if schedule.on is None:
            candidates, baseline = await self._candidates(schedule, name), schedule.baseline
        else:
            candidates, baseline = await self._sides(schedule, endpoint)
        return RunCreate(
            suite=suite,
            candidates=candidates,
            baseline=baseline,
            repeats=schedule.repeats,
            budget_usd=schedule.budget_usd,
            max_cases=schedule.max_cases,
            fresh=schedule.fresh,
            priority=schedule.priority,
        )

    async def _candidates(self, schedule: Schedule, suite: str) -> list[CandidateSpec]:
        if schedule.live is None:
            return schedule.candidates
        only, _, label = schedule.live.rpartition("@")
        found = await self._released(label)
        repository = self._registry.repository
        names = [only] if only else await repository.names("prompt")
        for name, labels in (await repository.labels_of("prompt", names)).items():
            if label in labels:  # also where no release put it: then the suite says on which endpoints
                found.setdefault(name, CandidateSpec(f"{name}@{label}"))
        if only:
            found = {name: spec for name, spec in found.items() if name == only}
        else:
            found = await self._of_suite(found, label, suite)
        if not found:
            whose = f"the prompt {only!r}" if only else "no prompt"
            raise NotFoundError(f"{whose} is {'not ' if only else ''}live in {label}")
        if len(found) > MOST:
            raise InvalidContentError.at(
                "/live", f"{len(found)} prompts are live in {label}; name one: <prompt>@{label}"
            )
        return [spec for _, spec in sorted(found.items())]

    async def _of_suite(self, found: dict[str, CandidateSpec], label: str, suite: str) -> dict[str, CandidateSpec]:
        """Those whose environment asks for this suite, where it asks for it of any."""
        rules = (await Environments(self._session, self._project_id).declared()).get(label)
        asked = {} if rules is None else rules.prompts
        about = {name for name, needs in asked.items() if suite in {parse_ref(ref).name for ref in needs.suites}}
        return {name: spec for name, spec in found.items() if name in about} if about else found

    async def _sides(self, schedule: Schedule, endpoint: str | None) -> tuple[list[CandidateSpec], CandidateSpec]:
        prompt = schedule.prompt or ""
        champion = CandidateSpec(prompt, endpoint=schedule.champion)
        if schedule.champion is None:
            name = parse_ref(prompt).name
            live = (await self._released(PRODUCTION)).get(name)
            if live is None:
                raise NotFoundError(f"nothing is live in {PRODUCTION} for {name!r}; name a `champion` in the schedule")
            champion = msgspec.structs.replace(champion, endpoint=live.endpoint)
        return [msgspec.structs.replace(champion, endpoint=endpoint)], champion

    async def _released(self, environment: str) -> dict[str, CandidateSpec]:
        return dict(await self._live(self._session, self._project_id, environment))
