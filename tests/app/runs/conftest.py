"""Making what a run needs, through the API."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest

from app.devmodel import running_devmodel
from tests.app.runs.endpoint import Endpoint, endpoint

EXACT = {"use": "contains", "name": "right"}


class Project:
    """A client with the few calls that every test of runs begins with."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def make(self, kind: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(
            f"/api/v1/{kind}/{name.replace('/', '%2F')}/versions", json={"content": content}
        )
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def question(self, name: str = "ask", system: str | None = None, **more: Any) -> None:
        """A prompt that asks `question`."""
        messages = [{"role": "user", "content": "{{ question }}"}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        await self.make("prompts", name, {"messages": messages, "variables": {"question": {"type": "string"}}, **more})

    async def replay(self, *models: str) -> None:
        for model in models:
            await self.make("endpoints", model, {"provider": "replay", "model": model})

    async def dataset(self, count: int, name: str = "questions", **more: Any) -> None:
        """Items `q0`, `q1`, …, each with a question of its own that is its reference too."""
        items = [
            {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": f"question {n}", **more}
            for n in range(count)
        ]
        await self.make("datasets", name, {"items": items})

    async def suite(
        self, asked: Endpoint, count: int = 10, *, scorers: list[dict[str, Any]] | None = None, **at: Any
    ) -> None:
        """The suite `checks` of `count` questions on one endpoint `model`, with the prompt `ask`."""
        await self.question()
        await self.dataset(count)
        await self.make(
            "endpoints", "model", {"provider": "compatible", "base_url": asked.base_url, "model": "m", **at}
        )
        await self.scorers(*(scorers or [EXACT]))

    async def scorers(self, *scorers: dict[str, Any]) -> None:
        await self.make("suites", "checks", {"dataset": "questions", "endpoints": ["model"], "scorers": list(scorers)})

    async def run(self, wait: int = 60, **body: Any) -> dict[str, Any]:
        """A finished run; of the suite `checks` and the prompt `ask` when nothing else is said."""
        body = {"suite": "checks", "candidates": [{"prompt": "ask"}], **body}
        answer = await self.client.post(f"/api/v1/runs?wait={wait}", json=body, timeout=150)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def begin(self, **body: Any) -> str:
        """The id of a run that has been started."""
        body = {"suite": "checks", "candidates": [{"prompt": "ask"}], **body}
        answer = await self.client.post("/api/v1/runs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def refused(self, **body: Any) -> dict[str, Any]:
        """The problem of a run that cannot be made."""
        body = {"suite": "checks", "candidates": [{"prompt": "ask"}], **body}
        answer = await self.client.post("/api/v1/runs", json=body)
        assert answer.status_code >= 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await self.get("/api/v1/runs"))["items"] == []
        return {"status": answer.status_code, **answer.json()}

    async def act(self, run_id: str, what: str, **body: Any) -> dict[str, Any]:
        """`cancel`, `resume` or `rescore`."""
        answer = await self.client.post(f"/api/v1/runs/{run_id}/{what}", json=body)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    async def rest(self, run_id: str) -> dict[str, Any]:
        """The run, once its events say that it rests."""
        async for name, _ in self.events(run_id):
            if name == "done":
                break
        return await self.get(f"/api/v1/runs/{run_id}")

    async def events(self, run_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        import msgspec

        async with self.client.stream("GET", f"/api/v1/runs/{run_id}/events", timeout=60) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            name = ""
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, msgspec.json.decode(line.removeprefix("data: "))

    async def results(self, run_id: str, **filters: Any) -> list[dict[str, Any]]:
        return list((await self.get(f"/api/v1/runs/{run_id}/results", limit=500, **filters))["items"])

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def verdict(
        self, policy: dict[str, Any], candidate: str, baseline: str | None, stage: str = "ci"
    ) -> dict[str, Any]:
        body = {"policy": {"content": policy}, "stage": stage, "candidate": candidate, "baseline": baseline}
        answer = await self.client.post("/api/v1/gates/evaluate", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def variant(run: dict[str, Any], name: str) -> dict[str, Any]:
    return next(v for v in run["variants"] if v["id"] == name)


@pytest.fixture
async def project(client: httpx2.AsyncClient) -> Project:
    """On either database."""
    return Project(client)


@pytest.fixture
async def sqlite_project(sqlite_client: httpx2.AsyncClient) -> Project:
    """For what does not depend on the database."""
    return Project(sqlite_client)


@pytest.fixture
async def asked() -> AsyncIterator[Endpoint]:
    """An endpoint that repeats the question."""
    async with endpoint() as made:
        yield made


QUESTIONS = ["How many repeats are there?", "What is a gate?", "Why is it blocked?", "Who may release?", "Where is it?"]


class Model:
    """A development model on a socket, and how often it was called."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._stats = base_url.removesuffix("/v1") + "/stats"

    async def calls(self) -> int:
        async with httpx2.AsyncClient() as client:
            return int((await client.get(self._stats)).json()["calls"])


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with running_devmodel() as base_url:
        yield Model(base_url)


async def small(
    project: Project,
    model: Model,
    *models: str,
    questions: Sequence[str] = QUESTIONS,
    scorers: Sequence[dict[str, Any]] = ({"use": "exact_match"},),
    **endpoint: Any,
) -> list[str]:
    """A prompt `ask`, a dataset `questions`, a suite `small` on one endpoint per model; returns the endpoints' names.

    `dev-echo` answers with the question, and the question is the reference.
    """
    await project.question()
    await project.make("datasets", "questions", {"items": items(questions)})
    names = [f"e{n}" for n in range(1, len(models or ("dev-echo",)) + 1)]
    for name, one in zip(names, models or ("dev-echo",), strict=True):
        content = {"provider": "compatible", "base_url": model.base_url, "model": one, **endpoint}
        await project.make("endpoints", name, content)
    await project.make("suites", "small", {"dataset": "questions", "endpoints": names, "scorers": list(scorers)})
    return names


def items(questions: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"id": f"q{n}", "inputs": {"question": text}, "reference": text, "tags": ["even" if n % 2 == 0 else "odd"]}
        for n, text in enumerate(questions)
    ]


ASK = [{"prompt": "ask"}]


def cells(run: dict[str, Any]) -> dict[str, int]:
    """The counts that are not 0, after a look that they add up, over the run and over its variants."""
    counted = dict(run["cells"])
    for name in counted:
        assert counted[name] == sum(v["cells"][name] for v in run["variants"])
    planned = counted.pop("planned")
    assert planned == sum(counted.values())
    return {name: count for name, count in counted.items() if count}
