"""What a project has beside its artifacts and runs: gates, keys, scorers, endpoints that can be tried."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import KeyCreated, Page, Scorer, Verdict
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
    async def create(self, role: str, name: str, *, expires_at: str | None = None) -> KeyCreated:
        """A new key. It is in this answer and never shown again. `expires_at` is RFC 3339."""
        body = {"role": role, "name": name} | ({"expires_at": expires_at} if expires_at is not None else {})
        created: KeyCreated = await self._core.json("POST", "/api/v1/keys", body=body)
        return created

    @operation
    async def revoke(self, key: str) -> None:
        """Makes a key invalid for ever."""
        await self._core.json("DELETE", f"/api/v1/keys/{segment(key)}")


class Scorers(Group[Mode]):
    @operation
    async def list(self) -> Page[Scorer]:
        """All scorers with the schemas of their arguments."""
        page: Page[Scorer] = await self._core.json("GET", "/api/v1/scorers")
        return page

    @operation
    async def get(self, name: str) -> Scorer:
        """One scorer."""
        found: Scorer = await self._core.json("GET", f"/api/v1/scorers/{segment(name)}")
        return found
