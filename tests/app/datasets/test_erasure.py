"""What must not be kept is forgotten, and what was decided on it stays what it was."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
from sqlalchemy import delete, select
from sqlmodel import col

from app.datasets.retention import Retention
from app.datasets.service import Datasets
from app.datasets.tables import ItemRow, ManifestPartRow
from app.kit.clock import utc_now
from tests.app.datasets.test_datasets import items
from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import client_of

PEOPLE = [
    {
        "id": f"q{n}",
        "inputs": {"q": f"I am {who}, number {n}"},
        "metadata": {"who": who},
        "recorded": {"m": {"text": "hello"}},
    }
    for n, who in enumerate(["ann", "bob", "ann", "eve"])
]


async def erase(client: httpx2.AsyncClient, name: str = "d", **body: Any) -> httpx2.Response:
    return await client.post(path("datasets", name, "erase"), json={"reason": "asked to", **body})


async def bodies(app: Any) -> list[bytes | None]:
    async with app.litestar.state.sessions() as session:
        return list(await session.scalars(select(ItemRow.body)))


async def test_a_person_is_erased_from_every_version_and_digests_stay(client: httpx2.AsyncClient, app: Any) -> None:
    first = await made(client, "datasets", "d", {"items": PEOPLE})
    await made(client, "datasets", "d", {"items": PEOPLE[1:]})
    await made(client, "datasets", "copy", {"items": PEOPLE[:1]})
    done = await erase(client, field="metadata.who", equals="ann")
    assert (done.status_code, done.json()) == (200, {"items": 2, "versions": 3})
    assert not any(b"ann" in body for body in await bodies(app) if body is not None)
    read = await got(client, path("datasets", "d", "versions", "1"))
    assert (read["digest"], read["erased"]) == (first["digest"], 2)
    assert [v["erased"] for v in await items_of(client, path("datasets", "d", "versions"))] == [1, 2]
    assert (await got(client, path("datasets", "copy", "versions", "1")))["erased"] == 1
    found = await items(client, "d", 1)
    assert [(i["id"], i["erased"], i["inputs"]) for i in found[:2]] == [
        ("q0", True, {}),
        ("q1", False, {"q": "I am bob, number 1"}),
    ]
    again = await erase(client, ids=["q0"])
    assert again.json() == {"items": 0, "versions": 0}
    entries = (await got(client, "/api/v1/audit", action="dataset.erased"))["items"]
    assert [(e["reason"], e["details"]["items"]) for e in entries] == [("asked to", 0), ("asked to", 2)]


async def test_runs_leave_erased_items_out_and_say_so(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "datasets", "d", {"items": PEOPLE})
    await made(sqlite_client, "endpoints", "m", {"provider": "replay", "model": "m"})
    await made(sqlite_client, "prompts", "p", prompt("{{ q }}", variables={"q": {}}))
    await made(sqlite_client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    body = {"suite": "s", "candidates": [{"prompt": "p"}]}
    before = (await sqlite_client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
    await erase(sqlite_client, ids=["q0", "q3"])
    after = (await sqlite_client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
    assert (after["cells"]["planned"], after["warnings"]) == (
        2,
        ["2 of the dataset's items were erased and are left out"],
    )
    results = await items_of(sqlite_client, f"/api/v1/runs/{before['id']}/results")
    assert {r["case"]: r["inputs"] for r in results}["q0"] == {}, "an earlier run stays readable"
    await erase(sqlite_client, ids=["q1", "q2"])
    assert problem(await sqlite_client.post("/api/v1/runs", json=body))[0] == 422


async def test_what_nobody_is_meant_by_changes_nothing(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "datasets", "d", {"items": PEOPLE})
    assert problem(await erase(sqlite_client))[0] == 422
    assert problem(await erase(sqlite_client, ids=["zz"])) == (422, "invalid-content", ["/ids"])
    assert problem(await erase(sqlite_client, field="metadata.who"))[0] == 422
    assert problem(await erase(sqlite_client, field="who", equals="ann")) == (422, "invalid-content", ["/field"])
    assert problem(await erase(sqlite_client, "none", ids=["q0"]))[0] == 404
    assert all(not i["erased"] for i in await items(sqlite_client, "d"))


async def test_a_dataset_s_items_are_kept_as_long_as_it_says(client: httpx2.AsyncClient, app: Any) -> None:
    await made(client, "datasets", "d", {"items": PEOPLE[:2], "retention_days": 30})
    await made(client, "datasets", "d", {"items": PEOPLE[1:3], "retention_days": 30})
    await made(client, "datasets", "kept", {"items": PEOPLE[2:3]})
    sessions, now = app.litestar.state.sessions, utc_now()
    assert await Retention(sessions, lambda: now + timedelta(days=29)).look() == 0
    assert await Retention(sessions, lambda: now + timedelta(days=31)).look() == 2, "q2 is another dataset's too"
    assert await Retention(sessions, lambda: now + timedelta(days=31)).look() == 0
    assert [(i["id"], i["erased"]) for i in await items(client, "d")] == [("q1", True), ("q2", False)]


async def erased_counts(client: httpx2.AsyncClient, name: str = "d") -> dict[int, int]:
    versions = await items_of(client, path("datasets", name, "versions"))
    return {version["version"]: version["erased"] for version in versions}


async def test_a_version_made_after_an_erasure_counts_the_erased_items_that_it_holds(
    client: httpx2.AsyncClient,
) -> None:
    await made(client, "datasets", "d", {"items": PEOPLE})
    await erase(client, ids=["q0", "q2"])
    body = {"put": [{"id": "q9", "inputs": {"q": "a new one"}}], "remove": ["q2"]}
    assert (await client.post(path("datasets", "d", "items"), json=body)).status_code == 201
    assert await erased_counts(client) == {1: 2, 2: 1}
    assert [i["erased"] for i in await items(client, "d")] == [True, False, False, False]


async def test_an_erased_item_that_is_sent_again_is_there_again_and_everybody_is_told(
    client: httpx2.AsyncClient, app: Any
) -> None:
    await made(client, "datasets", "d", {"items": PEOPLE})
    await made(client, "datasets", "copy", {"items": PEOPLE[:1]})
    await erase(client, field="metadata.who", equals="ann")
    assert [await erased_counts(client, name) for name in ("d", "copy")] == [{1: 2}, {1: 1}]
    again = await made(client, "datasets", "d", {"items": PEOPLE[:2]})
    assert [w["detail"] for w in again["warnings"]] == [
        "1 of these items were erased before and are kept again, in every version"
    ]
    assert (again["version"], again["erased"]) == (2, 0)
    assert [(i["erased"], i["inputs"]["q"]) for i in await items(client, "d")] == [
        (False, "I am ann, number 0"),
        (False, "I am bob, number 1"),
    ]
    assert [await erased_counts(client, name) for name in ("d", "copy")] == [{1: 1, 2: 0}, {1: 0}]
    (entry,) = (await got(client, "/api/v1/audit", action="dataset.restored"))["items"]
    assert entry["details"] == {"items": 1, "versions": 2}
    assert sum(body is None for body in await bodies(app)) == 1
    quiet = await made(client, "datasets", "d", {"items": PEOPLE[:2]})
    assert not quiet.get("warnings")
    assert (await erase(client, ids=["q0"])).json() == {"items": 1, "versions": 3}


async def test_the_same_holds_for_items_put_into_a_dataset_and_for_a_synced_file(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    await made(sqlite_client, "datasets", "d", {"items": PEOPLE})
    await erase(sqlite_client, ids=["q0", "q1"])
    await sqlite_client.post(path("datasets", "d", "items"), json={"put": [PEOPLE[0]]})
    assert await erased_counts(sqlite_client) == {1: 1}, "the version is the same as before, with its item back"
    for more, counts in (([], {1: 1}), ([{"inputs": {"q": "new"}}], {1: 0, 2: 0})):
        text = "".join(json.dumps(item) + "\n" for item in PEOPLE + more)
        sync = {"mode": "apply", "files": [{"path": "datasets/d.jsonl", "text": text}]}
        assert (await sqlite_client.post("/api/v1/sync", json=sync)).status_code == 200
        assert await erased_counts(sqlite_client) == counts, (
            "an unchanged file is not stored again, and brings nobody back"
        )


async def test_erasing_and_adding_at_once_lose_neither_and_counts_stay_true(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "d", {"items": PEOPLE})

    async def add(n: int) -> None:
        body = {"put": [{"id": f"n{n}", "inputs": {"q": f"new {n}"}}]}
        assert (await client.post(path("datasets", "d", "items"), json=body)).status_code == 201

    await asyncio.gather(*(add(n) for n in range(4)), *(erase(client, ids=[f"q{n}"]) for n in range(4)))
    found = await items(client, "d")
    assert sorted(i["id"] for i in found if not i["erased"]) == ["n0", "n1", "n2", "n3"]
    for version in range(1, 6):
        there = await items(client, "d", version)
        assert (await erased_counts(client))[version] == sum(i["erased"] for i in there) == 4


async def test_retention_of_one_project_does_not_wait_for_another_that_cannot_be_read(
    client: httpx2.AsyncClient, app: Any
) -> None:
    sessions, now = app.litestar.state.sessions, utc_now()
    ids = {}
    for name in ("aaa", "bbb", "ccc"):
        made_ = (await client.post("/api/v1/projects", json={"name": name})).json()
        ids[name] = made_["id"]
        async with client_of(app, made_["key"]["key"]) as other:
            await made(other, "datasets", "d", {"items": PEOPLE, "retention_days": 30})
    async with sessions.begin() as session:
        lost = delete(ManifestPartRow).where(col(ManifestPartRow.project_id) == ids["bbb"])
        await session.execute(lost)
    assert await Retention(sessions, lambda: now + timedelta(days=31)).look() == 8
    assert await Retention(sessions, lambda: now + timedelta(days=31)).look() == 0


async def test_a_corpus_knows_how_many_of_its_items_are_erased(client: httpx2.AsyncClient, app: Any) -> None:
    digest = (await made(client, "datasets", "d", {"items": PEOPLE}))["digest"]
    await erase(client, ids=["q0", "q1"])
    async with app.litestar.state.sessions() as session:
        assert await Datasets(session, "default").erased(digest) == 2
