"""One application with one of everything in the project `default`, keys of every kind, and a second project beside it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text

from app.kit.asgi import KeepEncodedSlash
from app.kit.db import Table
from tests.app.access.expected import ALL
from tests.app.releases.conftest import Door
from tests.conftest import client_of, settings_for, started

CONTENTS: dict[str, dict[str, Any]] = {
    "rag-configs": {"corpus": "questions"},
    "tool-configs": {"tools": [{"function": {"name": "look"}}]},
    "rubrics": {"instructions": "Is {{ answer }} right?", "endpoint": "good", "labels": {"yes": 1, "no": 0}},
}
NAMES = {
    "prompts": "ask",
    "datasets": "questions",
    "suites": "checks",
    "gate-policies": "strict",
    "endpoints": "good",
    "rag-configs": "rag",
    "tool-configs": "tools",
    "rubrics": "rubric",
}
UNHEEDED = {"api_key": {"last_used_at"}}
"""Columns that reading changes."""


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    id: str
    method: str
    path: str

    @property
    def kind(self) -> str:
        return self.path.split("/")[3] if self.path.startswith("/api/v1/") else ""


@dataclass
class World:
    app: KeepEncodedSlash
    admin: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient
    operations: list[Operation] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """By role; also `revoked`, `expired` and `foreign` (the admin of another project)."""
    ids: dict[str, str] = field(default_factory=dict)

    def url(self, operation: Operation, *, real: bool = True) -> str:
        """The operation's path with ids of things that are there, or of the same form and not there."""
        path = operation.path
        for name, value in self.path_values(operation).items():
            path = path.replace("{" + name + "}", value if real else absent(value))
        return path

    def path_values(self, operation: Operation) -> dict[str, str]:
        """What stands for each parameter of the path; `kind` and `ref` are no one's own."""
        named = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        values = {**self.ids, "name": NAMES.get(operation.kind, "")}
        if operation.id in ("get_environment", "put_environment"):
            values["name"] = "shop"
        elif operation.id == "get_live_prompt":
            values["name"] = "ask"
        elif operation.id == "get_model":
            values["name"] = "ask@shop"
        elif operation.kind == "schedules":
            values["name"] = "nightly"
        elif operation.id == "get_scorer":
            values["name"] = "exact_match"
        return {name: values[name] for name in named}

    async def call(
        self, operation: Operation, key: str | None, *, real: bool = True, body: Any = None
    ) -> httpx2.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {self.keys.get(key, key)}"}
        content = json.dumps({} if body is None else body) if operation.method in ("POST", "PUT", "PATCH") else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = self.url(operation, real=real)
        return await self.anonymous.request(operation.method, url, content=content, headers=headers)

    async def contents(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        rows: dict[str, list[Any]] = {}
        async with self.app.litestar.state.engine.connect() as connection:
            for name, table in sorted(Table.metadata.tables.items()):
                columns = [column.name for column in table.columns if column.name not in UNHEEDED.get(name, set())]
                quoted = ", ".join(f'"{column}"' for column in columns)
                found = await connection.execute(text(f'SELECT {quoted} FROM "{table.name}"'))
                rows[name] = sorted(map(repr, found.all()))
        return rows


def absent(value: str) -> str:
    """Another value of the same form and length that names nothing."""
    head, mark, tail = value.partition("_")
    if mark and len(tail) == 32:
        return f"{head}_{'0' * 32}"
    return {"exact_match": "exact_matcj", "prompt": "prompt", "1": "1", "stable": "stable"}.get(value, "q" * len(value))


@asynccontextmanager
async def world(folder: Path, database_url: str) -> AsyncIterator[World]:
    now = [datetime.now(UTC)]
    settings = settings_for(folder / "home", database_url)
    async with (
        started(settings, clock=lambda: now[0]) as app,
        client_of(app) as admin,
        client_of(app, None) as anonymous,
    ):
        made = World(app, admin, anonymous)
        document = (await admin.get("/docs/openapi.json")).json()
        made.operations = [
            Operation(what["operationId"], method.upper(), path)
            for path, operations in document["paths"].items()
            for method, what in operations.items()
            if not path.startswith("/docs")
        ]
        await _fill(made, now[0])
        now[0] += timedelta(minutes=2)
        yield made


async def _fill(made: World, now: datetime) -> None:
    door = Door(made.admin)
    await door.build()
    for kind, content in CONTENTS.items():
        await door.make(kind, NAMES[kind], content)
    for kind, name in NAMES.items():
        answer = await made.admin.put(f"/api/v1/{kind}/{name}/labels/stable", json={"version": 1})
        assert answer.status_code in (200, 201), answer.text
    await door.environment("shop")
    release = await door.release(environment="shop")
    assert release["state"] == "live", release
    answered = await door.post("/inferences", {"prompt": "ask@1", "output": "yes", "unit": "ann"}, 201)
    await door.post("/feedback", {"inference_id": answered["id"], "signal": "thumbs", "value": 1, "rater": "ann"}, 201)
    labels = {"labels": [{"id": "a", "human": 1, "judge": 1}, {"id": "b", "human": 0, "judge": 0}]}
    calibrated = await door.post(f"/rubrics/{NAMES['rubrics']}/calibrations", labels, 201)
    queued = {"run": (await door.get("/runs"))["items"][0]["id"]}
    queue = await door.post(f"/rubrics/{NAMES['rubrics']}/label-queue", queued, 201)
    nightly = {"name": "nightly", "cron": "0 3 * * *", "suite": "checks", "candidates": [{"prompt": "ask"}]}
    await door.post("/schedules", {**nightly, "enabled": False}, 201)
    made.ids = {
        "item_id": f"{queue['id']}-0",
        "calibration_id": calibrated["id"],
        "run_id": (await door.get("/runs"))["items"][0]["id"],
        "verdict_id": (await door.get("/gates/verdicts"))["items"][0]["id"],
        "release_id": release["id"],
        "inference_id": answered["id"],
        "rater": "ann",
        "environment": "shop",
        "kind": "prompt",
        "ref": "1",
        "label": "stable",
    }
    for role in ALL:
        made.keys[role] = (await door.post("/keys", {"role": role, "name": role}, 201))["key"]
    gone = await door.post("/keys", {"role": "admin", "name": "revoked"}, 201)
    made.keys["revoked"] = gone["key"]
    await made.admin.delete(f"/api/v1/keys/{gone['id']}")
    soon = (now + timedelta(minutes=1)).isoformat()
    expiring = await door.post("/keys", {"role": "admin", "name": "expired", "expires_at": soon}, 201)
    made.keys["expired"] = expiring["key"]
    made.ids["key_id"] = (await door.post("/keys", {"role": "reader", "name": "spare"}, 201))["id"]
    project = await door.post("/projects", {"name": "theirs"}, 201)
    made.keys["foreign"] = project["key"]["key"]
    made.ids["project_id"] = project["id"]
