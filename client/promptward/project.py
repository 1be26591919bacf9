"""What a project has beside its artifacts and runs: gates, keys, scorers; and the projects themselves."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import KeyCreated, Page, Project, ProjectCreated, Scorer, Verdict
from promptward.twin import Group, Mode, operation, streaming


class Gates(Group[Mode]):
    @operation
    async def evaluate(self, policy: str, stage: str, candidate: str, *, baseline: str | None = None) -> Verdict:
        """The verdict of `policy` at `stage` (`promote` or `ci`). Both sides are `<run>/<id>`."""
        body = {"policy": policy, "stage": stage, "candidate": candidate}
        if baseline is not None:
            body["baseline"] = baseline
        verdict: Verdict = await self._core.json("POST", "/api/v1/gates/evaluate", body=body, extra_s=LONG_S)
        return verdict

    @operation
    async def backtest(
        self,
        metric: str,
        changes: Sequence[Mapping[str, Any]],
        *,
        margin: float | None = None,
        size: int | None = None,
        suites: int | None = None,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """How often this gate and three common ones would have blocked, over many small suites of recorded answers.

        A change is `{name, candidate, baseline, neutral?}`, its sides variants as `<run>/<id>`.
        """
        given = {"margin": margin, "size": size, "suites": suites, "seed": seed}
        body = {"metric": metric, "changes": [*changes]} | {k: v for k, v in given.items() if v is not None}
        answer: dict[str, Any] = await self._core.json("POST", "/api/v1/gates/backtest", body=body, extra_s=LONG_S)
        return answer

    @operation
    async def verdicts(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Verdict]:
        """One page of the verdicts that were given, newest first."""
        params = {"limit": limit, "cursor": cursor}
        page: Page[Verdict] = await self._core.json("GET", "/api/v1/gates/verdicts", params=params)
        return page

    @streaming
    async def each_verdict(self) -> AsyncGenerator[Verdict, None]:
        """All verdicts that were given, newest first."""
        async for item in self._core.pages("/api/v1/gates/verdicts", {}, PAGE):
            yield item

    @operation
    async def verdict(self, verdict: str) -> Verdict:
        """One verdict with all its rules."""
        found: Verdict = await self._core.json("GET", f"/api/v1/gates/verdicts/{segment(verdict)}")
        return found


class Keys(Group[Mode]):
    @operation
    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[dict[str, Any]]:
        """One page of the project's keys, without their secrets."""
        page: Page[dict[str, Any]] = await self._core.json(
            "GET", "/api/v1/keys", params={"limit": limit, "cursor": cursor}
        )
        return page

    @streaming
    async def each(self) -> AsyncGenerator[dict[str, Any], None]:
        """All keys, without their secrets."""
        async for item in self._core.pages("/api/v1/keys", {}, PAGE):
            yield item

    @operation
    async def create(
        self, role: str, name: str, *, expires_at: str | None = None, clearance: str | None = None
    ) -> KeyCreated:
        """A new key. It is in this answer and never shown again. `expires_at` is RFC 3339; `clearance` is public, internal,
        confidential or personal, by default the role's own."""
        given = {"role": role, "name": name, "expires_at": expires_at, "clearance": clearance}
        body = {key: value for key, value in given.items() if value is not None}
        created: KeyCreated = await self._core.json("POST", "/api/v1/keys", body=body)
        return created

    @operation
    async def revoke(self, key: str) -> None:
        """Makes a key invalid for ever."""
        await self._core.json("DELETE", f"/api/v1/keys/{segment(key)}")


class Projects(Group[Mode]):
    """Only an admin key of the project `default` opens these."""

    @operation
    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Project]:
        """One page of all projects, archived ones too."""
        page: Page[Project] = await self._core.json(
            "GET", "/api/v1/projects", params={"limit": limit, "cursor": cursor}
        )
        return page

    @streaming
    async def each(self) -> AsyncGenerator[Project, None]:
        """All projects, archived ones too."""
        async for item in self._core.pages("/api/v1/projects", {}, PAGE):
            yield item

    @operation
    async def get(self, project: str) -> Project:
        """One project."""
        found: Project = await self._core.json("GET", f"/api/v1/projects/{segment(project)}")
        return found

    @operation
    async def create(self, name: str, *, id: str | None = None) -> ProjectCreated:  # noqa: A002  as on the wire
        """A new project with its first admin key, which is in this answer and never shown again."""
        body = {"name": name} | ({"id": id} if id is not None else {})
        created: ProjectCreated = await self._core.json("POST", "/api/v1/projects", body=body)
        return created

    @operation
    async def update(self, project: str, *, name: str | None = None, archived: bool | None = None) -> Project:
        """Renames, archives or restores a project; what is left out stays."""
        body = {k: v for k, v in {"name": name, "archived": archived}.items() if v is not None}
        found: Project = await self._core.json("PATCH", f"/api/v1/projects/{segment(project)}", body=body)
        return found

    @operation
    async def archive(self, project: str) -> None:
        """Archives a project: within five seconds its keys open nothing. Its data stays."""
        await self._core.json("DELETE", f"/api/v1/projects/{segment(project)}")


class Scorers(Group[Mode]):
    @operation
    async def list(
        self, *, kind: Literal["code", "judge"] | None = None, needs: str | None = None, q: str | None = None
    ) -> Page[Scorer]:
        """All scorers with the schemas of their arguments; or those of a kind, that need something, or whose name or
        documentation has the text `q`."""
        params = {"kind": kind, "needs": needs, "q": q}
        page: Page[Scorer] = await self._core.json("GET", "/api/v1/scorers", params=params)
        return page

    @operation
    async def get(self, name: str) -> Scorer:
        """One scorer."""
        found: Scorer = await self._core.json("GET", f"/api/v1/scorers/{segment(name)}")
        return found
