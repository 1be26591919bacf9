"""`AsyncClient` and its blocking twin `Client`."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack, cast

import httpx2
import msgspec

from promptward.artifacts import KINDS, Artifacts, Datasets, Prompts
from promptward.calibrations import Calibrations
from promptward.core import DEFAULT_TIMEOUT_S, LONG_S, Core
from promptward.errors import PromptwardError, problem_error
from promptward.project import Gates, Keys, Projects, Scorers
from promptward.releases import Audit, Environments, Feedback, Releases
from promptward.runs import Runs
from promptward.schedules import Schedules
from promptward.shapes import Generated, SyncResult
from promptward.twin import Async, Group, Mode, Portal, Sync, operation, streaming

SyncMode = Literal["plan", "apply", "draft"]
ImportMode = Literal["files", "plan", "apply"]
Part = str | Mapping[str, Any]
"""A reference such as `docs/answer@7`, or `{"content": …}`."""


class Generation(TypedDict, total=False):
    """What may be said about a single answer. A part left out is the prompt's own; None is none."""

    rag_config: Part | None
    tool_config: Part | None
    params: dict[str, Any]
    variables: dict[str, Any]
    history: Sequence[Mapping[str, Any]]


class _Client(Group[Mode]):
    """What both clients offer: one attribute per noun."""

    def __init__(self, core: Core, portal: Portal | None = None) -> None:
        super().__init__(core, portal)
        self.prompts: Prompts[Mode] = Prompts(core, portal, "prompts")
        self.datasets: Datasets[Mode] = Datasets(core, portal, "datasets")
        self.runs: Runs[Mode] = Runs(core, portal)
        self.gates: Gates[Mode] = Gates(core, portal)
        self.keys: Keys[Mode] = Keys(core, portal)
        self.projects: Projects[Mode] = Projects(core, portal)
        self.scorers: Scorers[Mode] = Scorers(core, portal)
        self.environments: Environments[Mode] = Environments(core, portal)
        self.releases: Releases[Mode] = Releases(core, portal)
        self.feedback: Feedback[Mode] = Feedback(core, portal)
        self.audit: Audit[Mode] = Audit(core, portal)
        self.calibrations: Calibrations[Mode] = Calibrations(core, portal)
        self.schedules: Schedules[Mode] = Schedules(core, portal)

    def _asynchronous(self) -> "_Client[Async]":
        return _Client(self._core)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._core.url

    def artifacts(self, kind: str) -> Artifacts[Mode]:
        """The artifacts of any kind: `client.artifacts("suites").get("docs/answer")`."""
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise PromptwardError(f"there is no kind {kind!r}; kinds are {known}", slug="not-found", status=404)
        return Artifacts(self._core, self._portal, kind)

    @operation
    async def sync(
        self,
        files: Sequence[Mapping[str, str]],
        mode: SyncMode = "plan",
        *,
        prune: bool = False,
        force: bool = False,
        message: str = "",
        commit: str | None = None,
    ) -> SyncResult:
        """Brings a project's files into the registry: `plan`, `apply`, or `draft` (kept by digest, no versions).

        A file is `{path, text}` or `{path, base64}`. `prune` archives what an earlier sync made and whose file is gone;
        `force` overwrites what was changed outside of the files.
        """
        body = {"mode": mode, "files": [*files], "prune": prune, "force": force, "message": message, "commit": commit}
        result: SyncResult = await self._core.json("POST", "/api/v1/sync", body=body, extra_s=LONG_S)
        return result

    @operation
    async def workers(self) -> dict[str, Any]:
        """The processes that share the service's database, and the work that waits."""
        found: dict[str, Any] = await self._core.json("GET", "/api/v1/workers")
        return found

    @operation
    async def import_(
        self,
        format: str,  # noqa: A002
        files: Sequence[Mapping[str, str]],
        mode: ImportMode = "plan",
        *,
        message: str = "",
        force: bool = False,
    ) -> dict[str, Any]:
        """Takes over what another tool left: `files` shows the project that it would be, `plan` what would be made, `apply`
        makes it. What cannot be carried over is in `losses`."""
        body = {"format": format, "files": [*files], "mode": mode, "message": message, "force": force}
        result: dict[str, Any] = await self._core.json("POST", "/api/v1/import", body=body, extra_s=LONG_S)
        return result

    @operation
    async def export(
        self,
        format: str = "promptward",  # noqa: A002
        *,
        prompts: Sequence[str] = (),
        suites: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The latest versions as files. Items of datasets are fetched with `datasets.export`."""
        params = {"format": format, "prompt": [*prompts] or None, "suite": [*suites] or None}
        result: dict[str, Any] = await self._core.json("GET", "/api/v1/export", params=params, extra_s=LONG_S)
        return result

    @operation
    async def formats(self) -> dict[str, list[str]]:
        """Which formats can be read, and which written."""
        found: dict[str, list[str]] = await self._core.json("GET", "/api/v1/formats")
        return found

    @operation
    async def generate(self, prompt: Part, endpoint: Part, **rest: Unpack[Generation]) -> Generated:
        """One answer of any combination; nothing is stored. A part is a reference, or `{"content": …}`."""
        body = {"prompt": prompt, "endpoint": endpoint, **rest}
        answer: Generated = await self._core.json("POST", "/api/v1/generate", body=body, extra_s=LONG_S)
        return answer

    @streaming
    async def generate_stream(
        self, prompt: Part, endpoint: Part, **rest: Unpack[Generation]
    ) -> AsyncGenerator[str | Generated, None]:
        """The same as it is written: pieces of text, and the whole answer at the end."""
        body = {"prompt": prompt, "endpoint": endpoint, "stream": True, **rest}
        async with self._core.events("POST", "/api/v1/generate", body=body) as source:
            async for event in source:
                if event.event == "delta":
                    yield msgspec.json.decode(event.data)["text"]
                elif event.event == "answer":
                    yield cast("Generated", msgspec.json.decode(event.data))
                elif event.event == "error":
                    raise problem_error(event.data.encode())

    @operation
    async def ready(self) -> bool:
        """Whether the service and its database can be used."""
        await self._core.json("GET", "/health/ready")
        return True


class AsyncClient(_Client[Async]):
    """The client for asynchronous programs.

    `url` and `api_key` default to PROMPTWARD_URL and PROMPTWARD_API_KEY; `timeout` is in seconds, per request.
    `transport` replaces the network, for example by `promptward.asgi.StreamingASGITransport`.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        super().__init__(Core(url, api_key, transport, timeout))

    async def aclose(self) -> None:
        await self._core.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Client(_Client[Sync]):
    """The same, blocking: for scripts, notebooks and threads. May be shared between threads."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        super().__init__(Core(url, api_key, transport, timeout), Portal())

    def close(self) -> None:
        if self._portal is not None:
            self._portal.run(self._core.aclose())
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
