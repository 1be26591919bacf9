import io
from typing import Any

import httpx2
import pytest

from app.registry.service import Registry
from tests.app.registry.api import got, items_of, made, path, post, problem

JSONL, CSV, PARQUET = "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"


async def upload(
    client: httpx2.AsyncClient, name: str, data: bytes | str, media_type: str, **params: Any
) -> httpx2.Response:
    content = data.encode() if isinstance(data, str) else data
    url = path("datasets", name, "versions")
    return await client.post(url, content=content, params=params, headers={"Content-Type": media_type})


def numbered(count: int, **changes: str) -> list[dict[str, Any]]:
    return [
        {"id": f"i{n}", "inputs": {"q": changes.get(f"i{n}", str(n))}, "tags": ["odd" if n % 2 else "even"]}
        for n in range(count)
    ]


async def items(
    client: httpx2.AsyncClient, name: str, ref: str | int = "latest", **params: Any
) -> list[dict[str, Any]]:
    return await items_of(client, path("datasets", name, "versions", str(ref), "items"), **params)


async def test_the_same_items_are_the_same_version_whatever_form_they_come_in(client: httpx2.AsyncClient) -> None:
    import pyarrow
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "question": ["x", "y"], "reference": ["1", "2"]}), sink)
    rows = [
        {"id": "a", "inputs": {"question": "x"}, "reference": "1"},
        {"id": "b", "inputs": {"question": "y"}, "reference": "2"},
    ]
    first = await post(client, "datasets", "d", {"items": rows})
    forms = [
        await upload(client, "d", "id,question,reference\na,x,1\nb,y,2\n", CSV),
        await upload(client, "d", "id,reference,inputs.question\r\na,1,x\r\nb,2,y\r\n", f"{CSV}; charset=utf-8"),
        await upload(
            client,
            "d",
            '{"id":"a","inputs":{"question":"x"},"reference":"1"}\n{"reference":"2","id":"b","inputs":{"question":"y"}}',
            JSONL,
        ),
        await upload(client, "d", sink.getvalue(), PARQUET),
    ]
    assert (first.status_code, [f.status_code for f in forms]) == (201, [200] * 4)
    assert {f.json()["digest"] for f in [first, *forms]} == {first.json()["digest"]}
    assert first.json()["content"]["items"]["count"] == 2
    assert first.headers["etag"] == f'"{first.json()["digest"]}"'


async def test_items_are_read_back_in_order_page_by_page_and_by_tag(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "d", {"items": numbered(2_345)})
    found = await items(client, "d", limit=500)
    assert [i["id"] for i in found] == [f"i{n}" for n in range(2_345)]
    assert {k: found[7][k] for k in ("id", "inputs", "reference", "tags", "history", "cluster", "recorded")} == {
        "id": "i7",
        "inputs": {"q": "7"},
        "reference": None,
        "tags": ["odd"],
        "history": [],
        "cluster": None,
        "recorded": {},
    }
    odd = await items(client, "d", 1, limit=499, tag="odd")
    assert [i["id"] for i in odd] == [f"i{n}" for n in range(1, 2_345, 2)]
    assert await items(client, "d", tag="none") == []
    url = path("datasets", "d", "versions", "1", "items")
    for params, pointer in (({"limit": 0}, "/limit"), ({"cursor": "x"}, "/cursor")):
        assert problem(await client.get(url, params=params)) == (400, "bad-request", [pointer])
    assert problem(await client.get(path("datasets", "d", "versions", "2", "items")))[:2] == (404, "not-found")


async def test_a_version_that_changes_one_item_stores_one(client: httpx2.AsyncClient, app: Any) -> None:
    from sqlalchemy import func, select

    from app.datasets.tables import ItemRow

    await made(client, "datasets", "d", {"items": numbered(1_500)})
    await made(client, "datasets", "d", {"items": numbered(1_500, i700="changed")})
    async with app.litestar.state.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ItemRow)) == 1_501
    assert (await items(client, "d", 1, limit=500))[700]["inputs"] == {"q": "700"}
    assert (await items(client, "d", 2, limit=500))[700]["inputs"] == {"q": "changed"}


async def test_a_diff_of_datasets_is_by_item(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "d", {"items": numbered(4), "description": "old"})
    after = [*reversed(numbered(4, i2="new")[1:]), {"id": "a/b", "inputs": {}}]
    await made(client, "datasets", "d", {"items": after, "description": "new"})
    diff = await got(client, path("datasets", "d", "diff"), **{"from": 1, "to": 2})
    assert [(c["op"], c["path"]) for c in diff["changes"]] == [
        ("replace", "/description"),
        ("remove", "/items/i0"),
        ("replace", "/items/i2"),
        ("add", "/items/a~1b"),
    ]
    assert diff["changes"][2]["before"]["inputs"] == {"q": "2"}
    assert diff["changes"][2]["after"]["inputs"] == {"q": "new"}
    assert (diff["added"], diff["removed"], diff["changed"]) == (1, 1, 1)
    assert "+      q: new" in diff["unified"].splitlines()


async def test_a_long_diff_counts_all_and_shows_the_first_500(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "d", {"items": numbered(600)})
    await made(client, "datasets", "d", {"items": numbered(1)})
    diff = await got(client, path("datasets", "d", "diff"))
    assert (len(diff["changes"]), diff["removed"]) == (500, 599)


async def test_description_message_and_labels_come_with_files_as_parameters(client: httpx2.AsyncClient) -> None:
    answer = await upload(client, "d", "q\nx\n", CSV, description="card", message="first", label=["a", "b"])
    version = answer.json()
    assert (version["content"]["description"], version["message"], version["labels"]) == ("card", "first", ["a", "b"])
    body = {"content": {"items": numbered(1), "tags": ["t"]}, "message": "second", "labels": ["a"]}
    version = (await client.post(path("datasets", "d", "versions"), json=body)).json()
    assert (version["version"], version["labels"], version["content"]["tags"]) == (2, ["a"], ["t"])


SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


async def test_inputs_are_checked_against_the_schema(client: httpx2.AsyncClient) -> None:
    rows = [{"inputs": {"q": "ok"}}, {"inputs": {"q": 3}}, {"inputs": {}}]
    answer = await post(client, "datasets", "d", {"items": rows, "schema": SCHEMA})
    assert problem(answer) == (422, "invalid-content", ["/content/items/1/inputs/q", "/content/items/2/inputs"])
    assert "item 2" in answer.json()["detail"]
    version = await made(client, "datasets", "d", {"items": rows[:1], "schema": SCHEMA})
    assert version["content"]["schema"] == SCHEMA
    for schema in ({"type": "objekt"}, {"$ref": "https://example.com/schema.json"}):
        answer = await post(client, "datasets", "d", {"items": rows[:1], "schema": schema})
        assert problem(answer)[:2] == (422, "invalid-content")
        assert problem(answer)[2][0].startswith("/content/schema")


@pytest.mark.parametrize(
    ("data", "media_type", "status", "pointers", "words"),
    [
        (b"", "application/json", 400, [], "0 bytes"),
        (b"{", "application/json", 400, [], "not JSON"),
        (b'{"content": {\n "items": [,]}}', "application/json", 400, [], "line 2"),
        (b'{"content": {"items": "x"}}', "application/json", 400, ["/content/items"], "Expected `array`"),
        (b'{"content": {}}', "application/json", 400, ["/content/items"], "required field"),
        (b'{"content": {"items": [], "colour": 1}}', "application/json", 400, ["/content/colour"], "colour"),
        (b'{"content": {"items": []}}', "application/json", 422, ["/content/items"], "at least one"),
        (
            b'{"content": {"items": [{"inputs": {}}, {"inputs": 3}]}}',
            "application/json",
            422,
            ["/content/items/1/inputs"],
            "item 2: inputs: Expected `object`, got `int`",
        ),
        (
            b'{"content": {"items": [{"id": "a", "inputs": {}}, {"id": "a", "inputs": {"x": 1}}]}}',
            "application/json",
            422,
            ["/content/items/1/id"],
            "item 2: the id 'a' stands at item 1 already",
        ),
        (b"", CSV, 422, [""], "0 bytes"),
        (b"a,b\n1\n", CSV, 422, ["/2"], "line 2"),
        (b"\xff", JSONL, 422, ["/1"], "not UTF-8"),
        (b"x", "text/html", 415, [], "text/csv"),
    ],
)
async def test_a_bad_body_is_refused_with_its_place_and_nothing_is_stored(
    sqlite_client: httpx2.AsyncClient, data: bytes, media_type: str, status: int, pointers: list[str], words: str
) -> None:
    answer = await upload(sqlite_client, "d", data, media_type)
    assert (answer.status_code, problem(answer)[2]) == (status, pointers)
    assert words in answer.json()["detail"]
    assert await items_of(sqlite_client, "/api/v1/datasets") == []


async def test_a_refused_version_leaves_no_items_behind(client: httpx2.AsyncClient, app: Any) -> None:
    from sqlalchemy import func, select

    from app.datasets.tables import ItemRow, ManifestPartRow

    for name, labels in (("a..b", []), ("d", ["production!"])):
        body = {"content": {"items": numbered(3)}, "labels": labels}
        assert (await client.post(path("datasets", name, "versions"), json=body)).status_code == 422
    await made(client, "datasets", "Case", {"items": numbered(1)})
    assert (await post(client, "datasets", "case", {"items": numbered(3)})).status_code == 409
    async with app.litestar.state.sessions() as session:
        for table in (ItemRow, ManifestPartRow):
            assert await session.scalar(select(func.count()).select_from(table)) == 1


async def test_datasets_have_labels_references_and_drafts_like_every_kind(client: httpx2.AsyncClient, app: Any) -> None:
    from app.datasets.parsing import parse
    from app.datasets.service import About, Datasets, content_of

    await made(client, "datasets", "d", {"items": numbered(2)}, labels=["gold"])
    async with app.litestar.state.sessions.begin() as session:
        datasets = Datasets(session, "default")
        parsed = parse(b'{"id": "x", "inputs": {"q": "draft"}}', JSONL)
        await datasets.store([item.entry for item in parsed], parsed)
        content = content_of([item.entry for item in parsed], parsed, About())
        draft = await datasets.registry.draft("dataset", content)
        assert [i.id for i in await datasets.items(draft)] == ["x"]
    assert [i["id"] for i in await items(client, "d", "gold")] == ["i0", "i1"]
    assert [i["id"] for i in await items(client, "d", draft.digest)] == ["x"]
    async with app.litestar.state.sessions() as session:
        datasets = Datasets(session, "default")
        gold = await Registry(session, "default").resolve("dataset", "d@gold")
        entries = await datasets.entries(gold)
        assert [(e.id, e.tags) for e in entries] == [("i0", ["even"]), ("i1", ["odd"])]
        assert [i.inputs for i in await datasets.some(entries[1:])] == [{"q": "1"}]
        assert await datasets.items_by_digest(gold.digest) == await datasets.items(gold)
        assert await Datasets(session, "other").some([]) == []
