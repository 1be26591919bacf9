"""Projects and clearances, as admins of `default` and of other projects see them."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.access import keys
from app.access.roles import CLEARANCES, ROLES
from app.kit.asgi import KeepEncodedSlash
from tests.conftest import TOKEN, client_of, settings_for, started

PROJECTS = "/api/v1/projects"
PROMPT = {"content": {"messages": [{"role": "user", "content": "Hi"}]}}


async def make(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(PROJECTS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_new_project_has_an_admin_key_of_its_own_that_is_shown_once(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    answer = await client.post(PROJECTS, json={"id": "search", "name": "Search"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    made = answer.json()
    assert (made["id"], made["name"], made["key"]["role"]) == ("search", "Search", "admin")
    listed = (await anonymous.get("/api/v1/keys", headers=bearer(made["key"]["key"]))).json()["items"]
    assert [key["id"] for key in listed] == [made["key"]["id"]]
    for path in (PROJECTS, f"{PROJECTS}/search", "/api/v1/audit", "/api/v1/keys"):
        assert made["key"]["key"].rpartition("_")[2] not in (await client.get(path)).text
    assert [p["id"] for p in (await client.get(PROJECTS)).json()["items"]] == ["default", "search"]


async def test_projects_see_nothing_of_each_other(client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient) -> None:
    made = await make(client, name="Search")
    await client.post("/api/v1/prompts/greeting/versions", json=PROMPT)
    foreign = await anonymous.get("/api/v1/prompts/greeting", headers=bearer(made["key"]["key"]))
    assert foreign.status_code == 404
    assert (await anonymous.get("/api/v1/prompts", headers=bearer(made["key"]["key"]))).json()["items"] == []


async def test_only_an_admin_of_default_manages_projects(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    own = (await make(client, name="Search"))["key"]["key"]
    for method, path, body in (
        ("GET", PROJECTS, None),
        ("POST", PROJECTS, {"name": "Mine"}),
        ("GET", f"{PROJECTS}/search", None),
        ("PATCH", f"{PROJECTS}/search", {"name": "Mine"}),
        ("DELETE", f"{PROJECTS}/search", None),
    ):
        refused = await anonymous.request(method, path, json=body, headers=bearer(own))
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:promptward:forbidden")
        assert "'default'" in refused.json()["detail"]
    assert [p["name"] for p in (await client.get(PROJECTS)).json()["items"]] == ["default", "Search"]


async def test_the_keys_of_an_archived_project_stop_within_five_seconds_and_its_data_stays(
    tmp_path: Path, database_url: str
) -> None:
    now = [datetime(2026, 11, 1, tzinfo=UTC)]
    settings = settings_for(tmp_path / "home", database_url)
    async with started(settings, clock=lambda: now[0]) as app, client_of(app) as client, client_of(app, None) as other:
        key = (await make(client, name="Search"))["key"]["key"]
        await other.post("/api/v1/prompts/greeting/versions", json=PROMPT, headers=bearer(key))
        assert (await client.delete(f"{PROJECTS}/search")).status_code == 204
        now[0] += timedelta(seconds=5)
        assert (await other.get("/api/v1/prompts", headers=bearer(key))).status_code == 401
        restored = await client.patch(f"{PROJECTS}/search", json={"archived": False})
        assert restored.json()["archived_at"] is None
        now[0] += timedelta(seconds=5)
        found = (await other.get("/api/v1/prompts", headers=bearer(key))).json()["items"]
        assert [item["name"] for item in found] == ["greeting"]


@pytest.mark.parametrize(
    ("method", "body"), [("DELETE", None), ("PATCH", {"archived": True}), ("PATCH", {"name": "x"})]
)
async def test_default_can_be_neither_archived_nor_renamed(
    sqlite_client: httpx2.AsyncClient, method: str, body: dict[str, Any] | None
) -> None:
    answer = await sqlite_client.request(method, f"{PROJECTS}/default", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:promptward:conflict")
    assert (await sqlite_client.get(f"{PROJECTS}/default")).json()["archived_at"] is None


async def test_every_change_of_a_project_is_in_both_chains(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    key = (await make(client, name="Search"))["key"]["key"]
    await client.patch(f"{PROJECTS}/search", json={"name": "Find"})
    await client.delete(f"{PROJECTS}/search")
    await client.delete(f"{PROJECTS}/search")
    await client.patch(f"{PROJECTS}/search", json={"archived": False})
    expected = ["project.restored", "project.archived", "project.renamed", "project.created"]
    for headers in ({}, bearer(key)):
        asked = {**client.headers, **headers}
        entries = (await anonymous.get("/api/v1/audit?action=project", headers=asked)).json()["items"]
        assert [entry["action"] for entry in entries] == expected
        assert (await anonymous.get("/api/v1/audit/verify", headers=asked)).json()["ok"] is True


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"id": "Search", "name": "x"}, 422, "/id"),
        ({"id": "s", "name": "x"}, 422, "/id"),
        ({"id": "a" * 40, "name": "x"}, 422, "/id"),
        ({"id": "sea\u202erch", "name": "x"}, 422, "/id"),
        ({"id": "se\u0430rch", "name": "x"}, 422, "/id"),
        ({"name": "検索"}, 422, "/id"),
        ({"id": "default", "name": "x"}, 409, "/id"),
        ({"id": "taken", "name": "x"}, 409, "/id"),
        ({"name": "Sea\u202erch"}, 422, "/name"),
        ({"name": "Sea\x00rch"}, 422, "/name"),
        ({"name": "\t"}, 422, "/name"),
        ({"name": ""}, 400, "/name"),
        ({"name": "x", "colour": "red"}, 400, "/colour"),
    ],
)
async def test_a_project_that_cannot_be_is_refused_at_its_field(
    client: httpx2.AsyncClient, body: dict[str, Any], status: int, pointer: str
) -> None:
    await make(client, id="taken", name="Taken")
    answer = await client.post(PROJECTS, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert len((await client.get(PROJECTS)).json()["items"]) == 2


async def test_projects_are_paged(client: httpx2.AsyncClient) -> None:
    for name in ("beta", "alpha", "gamma"):
        await make(client, name=name)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(PROJECTS, params={"limit": 1, **cursor})).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["default", "alpha", "beta", "gamma"]


async def test_a_project_that_is_not_there_is_404(sqlite_client: httpx2.AsyncClient) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await sqlite_client.request(method, f"{PROJECTS}/nowhere", json={} if method == "PATCH" else None)
        assert answer.status_code == 404


async def test_a_key_has_the_clearance_of_its_role_or_the_one_it_was_given(client: httpx2.AsyncClient) -> None:
    expected = {
        "reader": "internal",
        "feedback": "public",
        "server": "internal",
        "ci": "internal",
        "proposer": "internal",
        "engineer": "confidential",
        "approver": "confidential",
        "admin": "personal",
    }
    assert set(expected) == set(ROLES)
    for role in expected:
        assert (await client.post("/api/v1/keys", json={"role": role, "name": role})).status_code == 201
    listed = {key["role"]: key["clearance"] for key in (await client.get("/api/v1/keys")).json()["items"]}
    assert listed == expected
    raised = await client.post("/api/v1/keys", json={"role": "reader", "name": "x", "clearance": "personal"})
    assert raised.json()["clearance"] == "personal"
    unknown = await client.post("/api/v1/keys", json={"role": "reader", "name": "x", "clearance": "cosmic"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/clearance")
    assert all(clearance in unknown.json()["detail"] for clearance in CLEARANCES)


async def test_the_authenticator_knows_a_key_s_clearance(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
    body = {"role": "admin", "name": "x", "clearance": "internal"}
    key = (await client.post("/api/v1/keys", json=body)).json()["key"]
    authenticator = app.litestar.state.authenticator
    assert (await authenticator.caller(f"Bearer {key}")).clearance == "internal"
    assert (await authenticator.caller(f"Bearer {TOKEN}")).clearance == "personal"


async def test_nobody_makes_a_key_that_sees_more_than_their_own(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    body = {"role": "admin", "name": "x", "clearance": "internal"}
    own = (await client.post("/api/v1/keys", json=body)).json()["key"]
    refused = await anonymous.post("/api/v1/keys", json={"role": "admin", "name": "y"}, headers=bearer(own))
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (403, "/clearance")
    assert (await anonymous.post("/api/v1/keys", json={**body, "name": "y"}, headers=bearer(own))).status_code == 201
    assert (await anonymous.post(PROJECTS, json={"name": "Search"}, headers=bearer(own))).status_code == 403
    assert len((await client.get(PROJECTS)).json()["items"]) == 1


@pytest.mark.parametrize("name", ["a\u202eb", "a\u2066b", "a\u200fb", "a\x00b", "a\nb", "a\u2028b", " ", "\ufeffa"])
async def test_a_key_name_that_does_not_read_as_it_is_written_is_refused(
    sqlite_client: httpx2.AsyncClient, name: str
) -> None:
    answer = await sqlite_client.post("/api/v1/keys", json={"role": "reader", "name": name})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/name")


async def test_names_in_any_script_are_welcome(client: httpx2.AsyncClient) -> None:
    for name in ("Поиск", "検索", "پژوهش\u200cها", "👩\u200d🔬 lab", "Zoë's key"):
        answer = await client.post("/api/v1/keys", json={"role": "reader", "name": name})
        assert answer.status_code == 201, name
    assert keys.parse(answer.json()["key"]) is not None


async def test_of_many_who_make_the_same_project_one_succeeds_and_the_others_are_told(
    client: httpx2.AsyncClient,
) -> None:
    answers = await asyncio.gather(*[client.post(PROJECTS, json={"name": "Search"}) for _ in range(8)])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/id"]
