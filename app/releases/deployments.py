"""What is live, kept in memory: the hot path of every fetch and every answer touches no database."""

import asyncio
import contextlib
import time
from typing import NamedTuple

import msgspec

from app.generation.bundles import resolve_bundle
from app.generation.schemas import Bundle, CandidateSpec
from app.kit.db import Sessions
from app.kit.errors import ConflictError, GoneError
from app.registry.service import Registry
from app.releases.lifecycle.service import require_in_use
from app.releases.repository import Repository
from app.releases.schemas import SERVING, Deployment, LiveArm
from app.releases.tables import DeploymentRow, ReleaseRow

FRESH_S = 1.0
"""How old an entry may grow unlooked at. What this process changes it sees at once; what another one does, within this time."""
USABLE_S = 2.0
"""Up to this age an entry still answers while it is looked at again."""
KEPT_BUNDLES = 1_000

Key = tuple[str, str, str]


class _Entry(NamedTuple):
    deployment: Deployment | None
    at: float


class Deployments:
    """Project, environment and prompt to what is live there."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._entries: dict[Key, _Entry] = {}
        self._bundles: dict[tuple[str, str], Bundle] = {}
        self._reading: dict[Key, asyncio.Task[Deployment | None]] = {}

    async def get(self, project_id: str, environment: str, prompt: str) -> Deployment | None:
        key = (project_id, environment, prompt)
        entry = self._entries.get(key)
        if entry is not None:
            age = time.monotonic() - entry.at
            if age < FRESH_S:
                return entry.deployment
            if age < USABLE_S:
                self._read(key)
                return entry.deployment
        return await asyncio.shield(self._read(key))

    def forget(self, project_id: str, environment: str, prompt: str) -> None:
        """After a commit that changed it."""
        key = (project_id, environment, prompt)
        self._entries.pop(key, None)
        self._reading.pop(key, None)

    async def every(self, project_id: str) -> list[Deployment]:
        """All that is live in a project."""
        async with self._sessions() as session:
            rows = await Repository(session, project_id).live()
        found = []
        for row in rows:
            with contextlib.suppress(GoneError):
                found.append(await self.get(project_id, row.environment, row.name))
        return [deployment for deployment in found if deployment is not None]

    async def close(self) -> None:
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read(self, key: Key) -> "asyncio.Task[Deployment | None]":
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    def _done(self, key: Key, task: "asyncio.Task[Deployment | None]") -> None:
        if self._reading.get(key) is not task:  # forgotten meanwhile: what it read may be what was before
            return
        del self._reading[key]
        if task.cancelled() or task.exception() is not None:  # among them: it was retired
            self._entries.pop(key, None)
        elif task.result() is None:
            self._entries.pop(key, None)  # names that do not exist are no reason to grow
        else:
            self._entries[key] = _Entry(task.result(), time.monotonic())

    async def _load(self, key: Key) -> Deployment | None:
        project_id, environment, prompt = key
        async with self._sessions() as session:
            await require_in_use(session, project_id, prompt)
            repository = Repository(session, project_id)
            row = await repository.deployment(environment, prompt)
            if row is None or row.live is None:
                return None
            known = self._entries.get(key)
            if known is not None and known.deployment is not None and known.deployment.revision == row.revision:
                return known.deployment
            return await self._deployment(repository, row, row.live)

    async def _deployment(self, repository: Repository, row: DeploymentRow, live_id: str) -> Deployment:
        live = await repository.release(live_id)
        active = None if row.active is None else await repository.release(row.active)
        registry = Registry(repository.session, row.project_id)
        deployment = Deployment(
            row.project_id, row.environment, row.name, row.revision, await self._arm(registry, live)
        )
        if active is None or active.state not in SERVING:
            return deployment
        candidate = await self._arm(registry, active)
        return msgspec.structs.replace(deployment, candidate=candidate, share=active.share, phase=active.step or 0)

    async def _arm(self, registry: Registry, release: ReleaseRow) -> LiveArm:
        bundle = await self.bundle(registry, release)
        return LiveArm(release.id, release.refs["prompt"], release.version, bundle)

    async def bundle(self, registry: Registry, release: ReleaseRow) -> Bundle:
        """The content of a release, and exactly that: `ConflictError` when its digest is not what was gated."""
        known = self._bundles.get((release.project_id, release.bundle))
        if known is not None:
            return known
        spec = msgspec.convert(release.spec, CandidateSpec)
        bundle = await resolve_bundle(registry, spec, keep=False)
        if bundle.digest != release.bundle:
            raise ConflictError(
                f"release {release.id} passed its gate as {release.bundle}, and its parts now are {bundle.digest}: it is not served"
            )
        if len(self._bundles) >= KEPT_BUNDLES:
            self._bundles.clear()
        self._bundles[release.project_id, release.bundle] = bundle
        return bundle
