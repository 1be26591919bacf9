"""What goes live: environments, releases, what is live, ratings, and the audit of it all."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import Page, Release
from promptward.twin import Group, Mode, operation, streaming

Part = str | Mapping[str, Any]
Act = Literal["approve", "reject", "promote", "pause", "resume", "rollback"]


class ReleaseParts(TypedDict, total=False):
    """What may be said about a release. A part left out is the prompt's own; None is none. `rollout` is `{steps: […]}`, or
    None for everybody at once; left out, it is the environment's. `run` offers a finished run as evidence."""

    rag_config: Part | None
    tool_config: Part | None
    params: dict[str, Any]
    run: str
    rollout: Mapping[str, Any] | None
    notes: str


class Releases(Group[Mode]):
    @operation
    async def create(
        self, environment: str, prompt: str, endpoint: Part, *, wait: float | None = None, **rest: Unpack[ReleaseParts]
    ) -> Release:
        """Asks for exactly this content to go live. With `wait`, once it is evaluated or after so many seconds."""
        body = {"environment": environment, "prompt": prompt, "endpoint": endpoint, **rest}
        made: Release = await self._core.json(
            "POST", "/api/v1/releases", body=body, params={"wait": wait}, extra_s=wait or 0.0
        )
        return made

    @operation
    async def get(self, release: str, *, wait: float | None = None) -> Release:
        """One release with its timeline. With `wait`, once it is evaluated or after so many seconds."""
        found: Release = await self._core.json(
            "GET", f"/api/v1/releases/{segment(release)}", params={"wait": wait}, extra_s=wait or 0.0
        )
        return found

    @operation
    async def list(
        self,
        *,
        environment: str | None = None,
        prompt: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Release]:
        """One page, newest first; `state` is one state, or several with commas."""
        params = {"environment": environment, "prompt": prompt, "state": state, "limit": limit, "cursor": cursor}
        page: Page[Release] = await self._core.json("GET", "/api/v1/releases", params=params)
        return page

    @operation
    async def evaluate(
        self, release: str, *, reason: str = "", run: str | None = None, wait: float | None = None
    ) -> Release:
        """Evaluates a blocked release again, by what is asked for now."""
        body = {"reason": reason} | ({"run": run} if run is not None else {})
        path = f"/api/v1/releases/{segment(release)}/evaluate"
        found: Release = await self._core.json("POST", path, body=body, params={"wait": wait}, extra_s=wait or LONG_S)
        return found

    @operation
    async def act(
        self,
        release: str,
        act: Act,
        *,
        reason: str = "",
        revision: int | None = None,
        bundle: str | None = None,
        accept_risk: bool = False,
    ) -> Release:
        """Approves, rejects, promotes, pauses, resumes or rolls back. With `revision` or `bundle`, only what was read."""
        given = {"revision": revision, "bundle": bundle} | ({"accept_risk": True} if accept_risk else {})
        body = {"reason": reason} | {k: v for k, v in given.items() if v is not None}
        path = f"/api/v1/releases/{segment(release)}/{act}"
        found: Release = await self._core.json("POST", path, body=body, extra_s=LONG_S)
        return found


class Environments(Group[Mode]):
    @operation
    async def list(self) -> Page[dict[str, Any]]:
        """Every environment with its rules."""
        page: Page[dict[str, Any]] = await self._core.json("GET", "/api/v1/environments")
        return page

    @operation
    async def get(self, name: str) -> dict[str, Any]:
        """One environment with its rules."""
        found: dict[str, Any] = await self._core.json("GET", f"/api/v1/environments/{segment(name)}")
        return found

    @operation
    async def put(self, name: str, rules: Mapping[str, Any]) -> dict[str, Any]:
        """Declares an environment, or changes its rules."""
        found: dict[str, Any] = await self._core.json("PUT", f"/api/v1/environments/{segment(name)}", body={**rules})
        return found

    @operation
    async def live(self, name: str, prompt: str, *, unit: str | None = None) -> dict[str, Any]:
        """What is live for this unit."""
        path = f"/api/v1/environments/{segment(name)}/prompts/{segment(prompt)}"
        found: dict[str, Any] = await self._core.json("GET", path, params={"unit": unit})
        return found


class Feedback(Group[Mode]):
    @operation
    async def add(self, rating: Mapping[str, Any]) -> dict[str, Any]:
        """Rates one answer: `{receipt | inference_id | id + prompt, signal, value, …}`."""
        kept: dict[str, Any] = await self._core.json("POST", "/api/v1/feedback", body={**rating})
        return kept

    @operation
    async def add_many(self, ratings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Up to 1,000 ratings; all are kept, or none."""
        kept: dict[str, Any] = await self._core.json("POST", "/api/v1/feedback", body=[*ratings])
        return kept

    @streaming
    async def each(
        self,
        prompt: str | None = None,
        *,
        release: str | None = None,
        signal: str | None = None,
        tag: str | None = None,
        history: bool = False,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Ratings, newest first; with `history` also those that their raters replaced. `prompt` is a name or `name@7`."""
        params = {"prompt": prompt, "release": release, "signal": signal, "tag": tag, "history": history}
        async for item in self._core.pages("/api/v1/feedback", params, PAGE):
            yield item

    @operation
    async def summary(
        self,
        prompt: str | None = None,
        *,
        by: str = "version",
        signal: str | None = None,
        tag: str | None = None,
        since: str | None = None,
    ) -> dict[str, Any]:
        """Means and rates with intervals, by `version`, `release`, `environment`, `endpoint` or `signal`."""
        params = {"prompt": prompt, "by": by, "signal": signal, "tag": tag, "since": since}
        found: dict[str, Any] = await self._core.json("GET", "/api/v1/feedback/summary", params=params)
        return found

    @operation
    async def erase(self, rater: str) -> dict[str, Any]:
        """Erases one person's ratings."""
        found: dict[str, Any] = await self._core.json("DELETE", f"/api/v1/feedback/raters/{segment(rater)}")
        return found

    @operation
    async def log(self, inference: Mapping[str, Any]) -> dict[str, Any]:
        """Logs an answer that was served elsewhere: `{prompt, output?, unit?, …}`; gives its id and its receipt."""
        made: dict[str, Any] = await self._core.json("POST", "/api/v1/inferences", body={**inference})
        return made


class Audit(Group[Mode]):
    @operation
    async def list(
        self,
        *,
        action: str | None = None,
        subject: str | None = None,
        actor: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[dict[str, Any]]:
        """One page of every change, newest first."""
        params = {"action": action, "subject": subject, "actor": actor, "limit": limit, "cursor": cursor}
        page: Page[dict[str, Any]] = await self._core.json("GET", "/api/v1/audit", params=params)
        return page

    @operation
    async def verify(self) -> dict[str, Any]:
        """Whether the chain is whole: `{ok, entries, head, first_bad?, why?}`."""
        found: dict[str, Any] = await self._core.json("GET", "/api/v1/audit/verify", extra_s=LONG_S)
        return found
