"""Making what a run needs, through the API."""

from typing import Any

import httpx2


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

    async def run(self, **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/api/v1/runs?wait=120", json=body, timeout=150)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

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

    async def calls(self, run: dict[str, Any]) -> int:
        return int(run["cells"]["answered"] + run["cells"]["failed"])


def variant(run: dict[str, Any], name: str) -> dict[str, Any]:
    return next(v for v in run["variants"] if v["id"] == name)
