"""`AsyncClient` and its blocking twin `Client`."""

from types import TracebackType
from typing import Self

import httpx2

from promptward.artifacts import KINDS, Artifacts, Datasets, Prompts
from promptward.core import DEFAULT_TIMEOUT_S, Core
from promptward.errors import PromptwardError
from promptward.project import Gates, Keys, Scorers
from promptward.runs import Runs
from promptward.twin import Async, Group, Mode, Portal, Sync


class _Client(Group[Mode]):
    """What both clients offer: one attribute per noun."""

    def __init__(self, core: Core, portal: Portal | None = None) -> None:
        super().__init__(core, portal)
        self.prompts: Prompts[Mode] = Prompts(core, portal, "prompts")
        self.datasets: Datasets[Mode] = Datasets(core, portal, "datasets")
        self.runs: Runs[Mode] = Runs(core, portal)
        self.gates: Gates[Mode] = Gates(core, portal)
        self.keys: Keys[Mode] = Keys(core, portal)
        self.scorers: Scorers[Mode] = Scorers(core, portal)

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
