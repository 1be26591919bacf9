"""What goes live: environments, releases, what is live, ratings, and the audit of it all."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from time import monotonic
from typing import Any, Literal, TypedDict, Unpack

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S, Core
from promptward.errors import PromptwardError
from promptward.shapes import Page, Release
from promptward.twin import Group, Mode, operation, streaming

Part = str | Mapping[str, Any]
Act = Literal["approve", "reject", "promote", "pause", "resume", "rollback"]
WAIT_S = 600.0
"""The longest that the service lets one request wait."""


class ReleaseParts(TypedDict, total=False):
    """What may be said about a release. A part left out is the prompt's own; None is none. `rollout` is `{steps: […]}`, or
    None for everybody at once; left out, it is the environment's. `run` offers a finished run as evidence."""

    rag_config: Part | None
    tool_config: Part | None
    params: dict[str, Any]
    run: str
    rollout: Mapping[str, Any] | None
    notes: str


class ActOptions(TypedDict, total=False):
    """Why somebody acts. With `revision` (as read before) the act counts only if nothing has happened since; with `bundle`
    only if the release is about exactly that content."""

    reason: str
    revision: int | None
    bundle: str | None


class Releases(Group[Mode]):
    """Asked for, looked at, decided about. An act that the release does not allow now raises `release-state` (409)."""

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
    async def wait(self, release: str, timeout_s: float = WAIT_S) -> Release:
        """The release once it is evaluated, however long the service lets one request wait.

        Raises PromptwardError (`not-evaluated`) when `timeout_s` seconds were not enough; the evaluation goes on.
        """
        until = monotonic() + timeout_s
        while True:
            left = min(max(until - monotonic(), 0.0), WAIT_S)
            path = f"/api/v1/releases/{segment(release)}"
            found: Release = await self._core.json("GET", path, params={"wait": left}, extra_s=left)
            if found["state"] != "evaluating":
                return found
            if monotonic() >= until:
                raise PromptwardError(
                    f"release {release} is still evaluated after {timeout_s:g} seconds; wait longer",
                    slug="not-evaluated",
                )

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

    @streaming
    async def each(
        self, *, environment: str | None = None, prompt: str | None = None, state: str | None = None
    ) -> AsyncGenerator[Release, None]:
        """All releases, newest first; `state` is one state, or several with commas."""
        params = {"environment": environment, "prompt": prompt, "state": state}
        async for item in self._core.pages("/api/v1/releases", params, PAGE):
            yield item

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
    async def approve(self, release: str, *, accept_risk: bool = False, **options: Unpack[ActOptions]) -> Release:
        """Approves; never one's own work. With `accept_risk` and a reason, an inconclusive release is let through."""
        return await _acted(self._core, release, "approve", options, accept_risk=accept_risk)

    @operation
    async def reject(self, release: str, **options: Unpack[ActOptions]) -> Release:
        """Refuses a release that is not yet served."""
        return await _acted(self._core, release, "reject", options)

    @operation
    async def promote(self, release: str, **options: Unpack[ActOptions]) -> Release:
        """The next step of the rollout now."""
        return await _acted(self._core, release, "promote", options)

    @operation
    async def pause(self, release: str, **options: Unpack[ActOptions]) -> Release:
        """Stays at this share until somebody resumes."""
        return await _acted(self._core, release, "pause", options)

    @operation
    async def resume(self, release: str, **options: Unpack[ActOptions]) -> Release:
        """Goes on with a paused rollout; what paused it is overruled."""
        return await _acted(self._core, release, "resume", options)

    @operation
    async def rollback(self, release: str, **options: Unpack[ActOptions]) -> Release:
        """Ends a rollout, or puts the predecessor back."""
        return await _acted(self._core, release, "rollback", options)

    @operation
    async def act(self, release: str, act: Act, *, accept_risk: bool = False, **options: Unpack[ActOptions]) -> Release:
        """The act of that name, for programs that are told which."""
        return await _acted(self._core, release, act, options, accept_risk=accept_risk)


async def _acted(core: Core, release: str, act: Act, options: ActOptions, *, accept_risk: bool = False) -> Release:
    body: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if accept_risk:
        body["accept_risk"] = True
    found: Release = await core.json("POST", f"/api/v1/releases/{segment(release)}/{act}", body=body, extra_s=LONG_S)
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

    @operation
    async def list(
        self,
        prompt: str | None = None,
        *,
        release: str | None = None,
        signal: str | None = None,
        history: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[dict[str, Any]]:
        """One page of ratings, newest first; with `history` also those that their raters replaced."""
        given = {"prompt": prompt, "release": release, "signal": signal, "history": history}
        params = {**given, "limit": limit, "cursor": cursor}
        page: Page[dict[str, Any]] = await self._core.json("GET", "/api/v1/feedback", params=params)
        return page

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


class AuditFilters(TypedDict, total=False):
    """`action` is whole or its noun; `subject` and `actor` are found anywhere; times are RFC 3339, `until` itself is out."""

    action: str | None
    subject: str | None
    actor: str | None
    since: str | None
    until: str | None


class Audit(Group[Mode]):
    @operation
    async def list(
        self, *, limit: int | None = None, cursor: str | None = None, **filters: Unpack[AuditFilters]
    ) -> Page[dict[str, Any]]:
        """One page of every change, newest first."""
        params = {**_given(filters), "limit": limit, "cursor": cursor}
        page: Page[dict[str, Any]] = await self._core.json("GET", "/api/v1/audit", params=params)
        return page

    @streaming
    async def each(self, **filters: Unpack[AuditFilters]) -> AsyncGenerator[dict[str, Any], None]:
        """Every change, newest first, page by page. Entries that were altered beyond reading are left out; `verify` names them."""
        async for item in self._core.pages("/api/v1/audit", _given(filters), PAGE):
            yield item

    @operation
    async def verify(self, *, head: str | None = None) -> dict[str, Any]:
        """Whether the chain is whole: `{ok, entries, head, first_bad?, why?}`. With `head`, `<no>:<hash>` of an earlier
        checkpoint, also whether that lies on it."""
        found: dict[str, Any] = await self._core.json(
            "GET", "/api/v1/audit/verify", params={"head": head}, extra_s=LONG_S
        )
        return found

    @operation
    async def checkpoint(self) -> dict[str, Any]:
        """Where the chain ends now: `{project, no, hash, at, mac}`."""
        found: dict[str, Any] = await self._core.json("GET", "/api/v1/audit/checkpoint")
        return found

    @streaming
    async def export(self, *, since_no: int | None = None) -> AsyncGenerator[bytes, None]:
        """The chain as JSON lines, oldest first, piece by piece; its last line is the checkpoint."""
        async with self._core.streamed("/api/v1/audit/export", {"since_no": since_no}) as pieces:
            async for piece in pieces:
                yield piece


def _given(filters: AuditFilters) -> dict[str, Any]:
    return {**filters}
