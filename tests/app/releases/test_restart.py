"""What a stopped service left is taken up when it starts again."""

from pathlib import Path
from typing import Any

from tests.app.releases.conftest import Door
from tests.app.runs.endpoint import endpoint
from tests.conftest import client_of, settings_for, started


async def test_a_release_that_was_being_evaluated_is_evaluated_to_its_end(tmp_path: Path, sqlite_url: str) -> None:
    settings = settings_for(tmp_path / "home", sqlite_url)
    async with endpoint(latency_s=0.05) as model:
        async with started(settings) as app, client_of(app) as client:
            door = Door(client)
            await prepare(door, model.base_url)
            body = {"environment": "production", "prompt": "ask", "endpoint": "slow"}
            release = await door.post("/releases", body, 201)
            assert release["state"] == "evaluating"
            await model.reached(3)
        before = model.calls
        assert before < 40
        async with started(settings) as app, client_of(app) as client:
            door = Door(client)
            found = await door.get(f"/releases/{release['id']}", wait=30)
            assert (found["state"], found["verdict"]) == ("live", "pass")
            assert await door.label() == 1
            assert [event["to"] for event in found["timeline"]] == ["evaluating", "live"]
        assert max(model.asked.values()) <= 2  # what was in flight when it stopped, and nothing else, is asked again


async def prepare(door: Door, base_url: str) -> None:
    await door.prompt()
    items: list[dict[str, Any]] = [
        {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": f"you asked: question {n}"}
        for n in range(40)
    ]
    await door.make("datasets", "questions", {"items": items})
    slow = {"provider": "compatible", "base_url": base_url, "model": "m", "limits": {"max_concurrency": 2}}
    await door.make("endpoints", "slow", slow)
    rules = [{"metric": "right", "floor": 0.6}]
    await door.make("gate-policies", "strict", {"rules": rules, "extend": {"max_repeats": 1}})
    scorers = [{"use": "exact_match", "name": "right"}]
    await door.make("suites", "checks", {"dataset": "questions", "endpoints": ["slow"], "scorers": scorers})
    await door.environment()
