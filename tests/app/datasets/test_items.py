"""Changing a dataset item by item, taking it out as a file, and placing columns."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.datasets.download import line_of, row_of
from app.datasets.parsing import parse
from app.datasets.schemas import Item
from app.datasets.tables import ItemRow
from tests.app.datasets.test_datasets import CSV, JSONL, PARQUET, items, numbered, upload
from tests.app.registry.api import got, items_of, made, path, problem


async def change(client: httpx2.AsyncClient, name: str = "d", **body: Any) -> httpx2.Response:
    return await client.post(path("datasets", name, "items"), json=body)


async def export(client: httpx2.AsyncClient, form: str, name: str = "d", ref: str = "latest") -> bytes:
    answer = await client.get(path("datasets", name, "versions", ref, "export"), params={"format": form})
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


async def test_items_are_put_in_changed_and_removed_and_only_the_new_are_stored(
    client: httpx2.AsyncClient, app: Any
) -> None:
    await made(client, "datasets", "d", {"items": numbered(100), "description": "Numbers", "tags": ["n"]})
    answer = await change(
        client, put=[{"id": "i3", "inputs": {"q": "three"}}, {"id": "new", "inputs": {"q": "n"}}], remove=["i0", "i1"]
    )
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    assert answer.json()["content"]["description"] == "Numbers"
    found = await items(client, "d")
    assert [i["id"] for i in found] == ["i2", "i3", *(f"i{n}" for n in range(4, 100)), "new"]
    assert found[1]["inputs"] == {"q": "three"}
    async with app.litestar.state.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ItemRow)) == 102
    diff = await got(client, path("datasets", "d", "diff"))
    assert (diff["added"], diff["removed"], diff["changed"]) == (1, 2, 1)
    again = await change(client, put=[{"id": "new", "inputs": {"q": "n"}}])
    assert (again.status_code, again.json()["version"]) == (200, 2)


@pytest.mark.parametrize(
    ("body", "code", "pointers"),
    [
        ({"remove": ["i0", "x", "y"]}, 422, ["/remove/1", "/remove/2"]),
        ({"remove": ["i0", "i1"]}, 422, ["/remove"]),
        ({"put": [{"id": "a"}]}, 422, ["/put/0/inputs"]),
        ({"put": [{"id": "a", "inputs": {}}, {"id": "a", "inputs": {}}]}, 422, ["/put/1/id"]),
        ({"put": [{"id": "a", "inputs": {"q": "[masked: personal]"}}]}, 422, ["/put/0/inputs/q"]),
        ({"put": [{"id": "a", "inputs": {"q": 1}}]}, 422, ["/put/0/inputs/q"]),
    ],
)
async def test_changes_that_cannot_be_are_refused_with_their_place(
    sqlite_client: httpx2.AsyncClient, body: Any, code: int, pointers: list[str]
) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    await made(sqlite_client, "datasets", "d", {"items": numbered(2), "schema": schema})
    assert problem(await change(sqlite_client, **body)) == (code, "invalid-content", pointers)
    assert (await got(sqlite_client, path("datasets", "d")))["version"] == 1


FULL = [
    {
        "id": "a",
        "inputs": {"q": 'with "quotes", commas\nand lines', "k": "v"},
        "reference": "x",
        "tags": ["t", "u"],
        "split": "test",
        "cluster": "c",
        "metadata": {"source": "s"},
        "recorded": {"gpt": {"text": "said"}},
    },
    {"inputs": {"q": "no id"}, "split": "train"},
]


async def test_a_version_comes_out_as_files_that_give_the_same_items_again(client: httpx2.AsyncClient) -> None:
    first = await made(client, "datasets", "d", {"items": FULL})
    assert (await upload(client, "d", await export(client, "jsonl"), JSONL)).status_code == 200
    for form, media_type in (("jsonl", JSONL), ("csv", CSV), ("parquet", PARQUET)):
        again = await upload(client, f"again-{form}", await export(client, form), media_type)
        assert again.json()["digest"] == first["digest"], form
    assert b'"id"' not in (await export(client, "jsonl")).splitlines()[1], "an id that is the digest need not be said"


async def test_exports_stream_and_name_their_file(sqlite_client: httpx2.AsyncClient) -> None:
    first = await made(sqlite_client, "datasets", "docs/d", {"items": numbered(2_500)})
    answer = await sqlite_client.get(path("datasets", "docs/d", "versions", "1", "export"))
    assert answer.headers["content-disposition"] == 'attachment; filename="docs-d.jsonl"'
    assert answer.headers["etag"] == f'"{first["digest"]}"'
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == [f"i{n}" for n in range(2_500)]
    mixed = [{"inputs": {"q": 1}}, {"inputs": {"q": "one"}}]
    await made(sqlite_client, "datasets", "mixed", {"items": mixed})
    refused = await sqlite_client.get(
        path("datasets", "mixed", "versions", "1", "export"), params={"format": "parquet"}
    )
    assert problem(refused) == (422, "invalid-content", ["/format"])
    missing = await sqlite_client.get(path("datasets", "none", "versions", "1", "export"))
    assert problem(missing)[0] == 404


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"inputs": st.dictionaries(TEXT, TEXT | st.integers(-9, 9) | st.booleans() | st.none() | st.lists(TEXT))},
        optional={"reference": TEXT | st.lists(TEXT), "tags": st.lists(TEXT.filter(bool)), "split": TEXT},
    ),
    min_size=1,
    max_size=4,
    unique_by=repr,
)


@given(ITEMS)
@settings(max_examples=150)
def test_json_lines_of_any_items_are_the_same_items(raw: list[dict[str, Any]]) -> None:
    data = "\n".join(json.dumps({"id": str(n), **item}) for n, item in enumerate(raw)).encode()
    parsed = parse(data, JSONL)
    shown = [Item(p.id, p.digest, **json.loads(p.body)) for p in parsed]
    again = parse("\n".join(json.dumps(line_of(item)) for item in shown).encode(), JSONL)
    assert [(p.id, p.digest) for p in again] == [(p.id, p.digest) for p in parsed]
    assert all(set(row_of(item)) for item in shown)


async def test_splits_and_tags_filter_items_and_a_suite_takes_one_split(sqlite_client: httpx2.AsyncClient) -> None:
    rows = [
        {
            "id": str(n),
            "inputs": {"q": str(n)},
            "split": "test" if n % 3 == 0 else "train",
            "recorded": {"m": {"text": "x"}},
        }
        for n in range(9)
    ]
    await made(sqlite_client, "datasets", "d", {"items": rows})
    assert [i["id"] for i in await items(sqlite_client, "d", split="test", limit=2)] == ["0", "3", "6"]
    await made(sqlite_client, "endpoints", "m", {"provider": "replay", "model": "m"})
    await made(
        sqlite_client, "prompts", "p", {"messages": [{"role": "user", "content": "{{ q }}"}], "variables": {"q": {}}}
    )

    async def run(split: str) -> httpx2.Response:
        suite = {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}], "split": split}
        await made(sqlite_client, "suites", "s", suite)
        body = {"suite": "s", "candidates": [{"prompt": "p"}]}
        return await sqlite_client.post("/api/v1/runs", params={"wait": 20}, json=body)

    assert (await run("test")).json()["cells"]["planned"] == 3
    assert (await run("train")).json()["cells"]["cached"] == 0
    refused = await run("dev")
    assert (problem(refused)[0], "test, train" in refused.json()["detail"]) == (422, True)


async def test_columns_are_placed_by_a_mapping(sqlite_client: httpx2.AsyncClient) -> None:
    csv = "Question,Answer,notes,Kind\nWhat?,42,secret,a;b\n"
    mapping = ["Question:inputs.question", "Answer:reference", "notes:", "Kind:tags"]
    answer = await upload(sqlite_client, "d", csv, CSV, map=mapping)
    assert answer.status_code == 201, answer.text
    (item,) = await items(sqlite_client, "d")
    assert (item["inputs"], item["reference"], item["tags"]) == ({"question": "What?"}, "42", ["a", "b"])
    lines = '{"Question": "What?", "Answer": "42", "Kind": ["a", "b"], "notes": {"x": 1}}'
    same = await upload(sqlite_client, "d", lines, JSONL, map=mapping)
    assert (same.status_code, same.json()["digest"]) == (200, answer.json()["digest"])


@pytest.mark.parametrize(
    ("mapping", "code"),
    [(["Question"], 400), (["Question:input.q"], 400), (["a:id", "b:id"], 400), (["Nothing:inputs.q"], 422)],
)
async def test_a_mapping_that_cannot_be_says_why(
    sqlite_client: httpx2.AsyncClient, mapping: list[str], code: int
) -> None:
    answer = await upload(sqlite_client, "d", "Question,a,b\nx,y,z\n", CSV, map=mapping)
    assert problem(answer)[0] == code
    assert await items_of(sqlite_client, "/api/v1/datasets") == []


async def test_a_key_that_comes_twice_in_a_line_is_refused(sqlite_client: httpx2.AsyncClient) -> None:
    lines = '{"inputs": {"q": "has \\"x\\": inside"}}\n{"inputs": {"q": 1, "q": 2}}'
    answer = await upload(sqlite_client, "d", lines, JSONL)
    assert (problem(answer), "line 2" in answer.json()["detail"]) == ((422, "invalid-content", ["/2/inputs/q"]), True)


async def test_a_card_says_what_a_dataset_is(sqlite_client: httpx2.AsyncClient) -> None:
    files = {"datasets/d.jsonl": '{"inputs": {"q": "x"}}\n'}

    async def sync(card: str) -> httpx2.Response:
        sent = [{"path": path_, "text": text} for path_, text in {**files, "datasets/d.md": card}.items()]
        return await sqlite_client.post("/api/v1/sync", json={"mode": "apply", "files": sent})

    assert (await sync("# Questions\n")).status_code == 200
    front = (
        "---\ntags: [gold]\nsensitivity: confidential\nfields:\n  inputs.q: personal\nretention_days: 30\n---\n# Q\n"
    )
    assert (await sync(front)).status_code == 200
    content = (await got(sqlite_client, path("datasets", "d")))["content"]
    assert {k: content[k] for k in ("description", "tags", "sensitivity", "fields", "retention_days")} == {
        "description": "# Q",
        "tags": ["gold"],
        "sensitivity": "confidential",
        "fields": {"inputs.q": "personal"},
        "retention_days": 30,
    }
    bad = await sync("---\ntags: [gold]\nsensitivity: secret\n---\n")
    assert problem(bad) == (422, "invalid-content", ["datasets/d.md#/sensitivity"])
    assert "line 3" in bad.json()["detail"]
    assert problem(await sync("---\nitems: 3\n---\n"))[2] == ["datasets/d.md#/items"]
    assert problem(await sync("---\na: [\n---\n"))[2] == ["datasets/d.md"]


@pytest.mark.parametrize("kept", [True, False], ids=["as a dictionary", "as plain text"])
async def test_a_table_in_which_one_long_text_is_meant_many_times_is_refused_before_it_is_spelled_out(
    sqlite_client: httpx2.AsyncClient, kept: bool
) -> None:
    import io
    import time

    import pyarrow
    from pyarrow import parquet

    count = 4_000
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * count), ["x" * 1_000_000])
    sink = io.BytesIO()
    table = pyarrow.table({"id": [str(n) for n in range(count)], "q": texts})
    parquet.write_table(table, sink, compression="zstd", store_schema=kept)
    assert len(sink.getvalue()) < 200_000
    began = time.monotonic()
    refused = await upload(sqlite_client, "bomb", sink.getvalue(), PARQUET)
    assert (problem(refused)[0], "at most" in refused.json()["detail"]) == (422, True)
    assert time.monotonic() - began < 5
