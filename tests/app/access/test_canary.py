"""A model endpoint's key goes to that endpoint and nowhere else: it is looked for in all that can be read afterwards."""

import asyncio
import logging
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.main import program
from app.devmodel import running_devmodel
from app.kit.asgi import KeepEncodedSlash
from tests.app.access.world import NAMES, Operation, World
from tests.app.llm.canned import Canned, canned, completion, events, http
from tests.app.releases.conftest import Door
from tests.conftest import client_of, settings_for, started

CANARY = "sk-proj-canary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CASES = 40
FINE = http(200, completion("x"))


def echoing(status: int, padding: int = 0) -> bytes:
    """What some gateways do: the whole request comes back in the error."""
    said = "x" * padding + f" Incorrect API key {CANARY} in `Authorization: Bearer {CANARY}`"
    return http(status, {"error": {"message": said, "type": CANARY, "code": "invalid_api_key"}}, retry_after="0")


ECHOES = (
    echoing(401),
    echoing(403),
    echoing(400, 260),
    echoing(404),
    echoing(422, 250),
    http(200, {"error": {"message": f"key {CANARY}"}}),
    events({"error": {"message": f"Bearer {CANARY}"}}),
    http(500, f"<html>{CANARY}</html>"),
    http(400, f"plain {CANARY}"),
    http(302, "", location=f"http://127.0.0.1:1/?key={CANARY}"),
    echoing(401),
)

COMMANDS = (
    "settings",
    "settings --json",
    "doctor --endpoints",
    "endpoints test good --json",
    "endpoints test echo",
    "endpoints test echo --debug",
)


async def test_the_canary_key_is_nowhere_but_in_the_calls(
    tmp_path: Path, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    environ = {"MODEL_KEY": CANARY}
    home = tmp_path / "home"
    settings = settings_for(home, database_url, **environ)
    places: dict[str, str] = {"settings": f"{settings!r} {settings.shown()!r}"}
    async with running_devmodel(api_key=CANARY) as model, canned(*ECHOES) as echo, canned(FINE) as live:
        async with started(settings) as app, client_of(app) as client, client_of(app, None) as anonymous:
            world = World(app, client, anonymous)
            door = Door(client)
            await fill(door, model, echo.base_url, live.base_url)
            world.ids = await used(door, live)
            answered = [header.get("authorization") for header in [*echo.headers, *live.headers]]
            assert answered == [f"Bearer {CANARY}"] * len(answered), "the endpoints were called with the key"
            assert len(answered) >= len(ECHOES)
            places |= await everything_readable(world)
        cli = {name: value for name, value in settings.environ.items() if value}
        for command in COMMANDS:
            shown = await asyncio.to_thread(CliRunner().invoke, program, command.split(), env=cli)
            places[command] = shown.output + shown.stderr
        async with started(settings) as app:
            places["database"] = await dumped(app)
    places["logs"] = caplog.text
    for file in home.parent.rglob("*"):
        if file.is_file():
            places[str(file)] = file.read_bytes().decode("latin-1")
    assert "the key" in places["endpoints test echo"]
    assert [name for name, said in places.items() if CANARY in said or CANARY[:14] in said] == []


async def fill(door: Door, model: str, echo: str, live: str) -> None:
    """A project whose endpoints name the key."""
    await door.prompt()
    items = [{"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "x"} for n in range(CASES)]
    await door.make("datasets", "questions", {"items": items})
    here = {"provider": "compatible", "model": "dev-large", "api_key": {"env": "MODEL_KEY"}}
    await door.make("endpoints", "good", {**here, "base_url": model})
    await door.make("endpoints", "echo", {**here, "base_url": echo, "limits": {"max_concurrency": 1}})
    await door.make("endpoints", "live", {**here, "base_url": live})
    scorers = [{"use": "contains", "name": "right"}]
    await door.make("suites", "checks", {"dataset": "questions", "endpoints": ["good", "echo"], "scorers": scorers})


async def used(door: Door, live: Canned) -> dict[str, str]:
    """Runs, answers, streams and calls through the gateway; returns the ids of what came of it."""
    for _ in ECHOES:
        for stream in (False, True):
            body = {"prompt": "ask", "endpoint": "echo", "variables": {"question": "?"}, "stream": stream}
            said = (await door.client.post("/api/v1/generate", json=body)).text
            assert "echo" in said
            assert CANARY[:14] not in said
    body = {"prompt": "ask", "endpoint": "good", "variables": {"question": "?"}}
    assert (await door.client.post("/api/v1/generate", json=body)).json()["status"] == "answered"
    run = await door.post("/runs?wait=60", {"suite": "checks", "candidates": [{"prompt": "ask"}]})
    ids = {"run_id": run["id"]}
    await door.make(
        "gate-policies", "strict", {"rules": [{"metric": "right", "floor": 0.6}], "extend": {"max_repeats": 1}}
    )
    await door.environment()
    release = await door.release("live")
    assert release["state"] == "live", release
    chat = {"model": "ask@production", "messages": [], "variables": {"question": "?"}}
    answer = await door.client.post("/v1/chat/completions", json=chat)
    ids |= {"release_id": release["id"], "inference_id": answer.json()["promptward"]["inference_id"]}
    live._script = deque([echoing(401)])
    for stream in (False, True):
        answer = await door.client.post("/v1/chat/completions", json={**chat, "stream": stream})
        assert answer.status_code == 502, answer.text
        assert CANARY not in answer.text
    ids["verdict_id"] = (await door.get("/gates/verdicts"))["items"][0]["id"]
    return {**ids, "environment": "production", "kind": "endpoint", "ref": "1", "label": "stable"}


async def everything_readable(world: World) -> dict[str, str]:
    """Every GET of the API, in every format, of every endpoint."""
    document = (await world.admin.get("/docs/openapi.json")).json()
    found, right = {}, 0
    for path, operations in document["paths"].items():
        if "get" not in operations or path.startswith("/docs"):
            continue
        operation = Operation(operations["get"]["operationId"], "GET", path)
        if {part[1:-1] for part in path.split("/") if part.startswith("{")} - {*world.ids, "name"}:
            continue
        names = ("good", "echo") if operation.kind == "endpoints" else (NAMES.get(operation.kind, ""),)
        formats = ("jsonl", "csv", "parquet") if operation.id == "export_run" else ("",)
        for name in names:
            for form in formats:
                url = world.url(operation).replace("/good", f"/{name}")
                answer = await world.admin.get(url, params={"format": form} if form else {})
                right += answer.status_code == 200
                found[f"GET {url} {form}"] = f"{answer.headers} {answer.content!r}"
    assert right > 30
    return found


async def dumped(app: KeepEncodedSlash) -> str:
    contents: dict[str, Any] = await World(app, None, None).contents()  # type: ignore[arg-type]
    assert contents["api_key"] == []
    assert contents["content"] != []
    return repr(contents)
