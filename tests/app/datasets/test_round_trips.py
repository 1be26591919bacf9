"""A version that is written to a file and read back: what stays what it was, form by form."""

import io
from typing import Any

import httpx2
import pytest

from tests.app.datasets.test_datasets import CSV, PARQUET, items, upload
from tests.app.registry.api import made, path, problem

FORMS = {"csv": CSV, "parquet": PARQUET, "jsonl": "application/x-ndjson"}
TEXTS = {
    "formula": "=cmd()|' /C calc'!A0",
    "plus": "+1",
    "minus": "-1",
    "at": "@x",
    "lines": "a\nb",
    "return": "a\rb",
    "quote": '"',
    "quotes": 'a"b""',
    "comma": ",",
    "padded": " x ",
    "number": "01.50",
    "nothing": "null",
    "dotted.name": "x",
}


async def back(client: httpx2.AsyncClient, form: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of a second dataset that a download of the first made."""
    await made(client, "datasets", "d", {"items": rows})
    answer = await client.get(path("datasets", "d", "versions", "1", "export"), params={"format": form})
    assert answer.status_code == 200, answer.text
    again = await upload(client, "again", answer.content, FORMS[form])
    assert again.status_code == 201, again.text
    return await items(client, "again")


@pytest.mark.parametrize("form", FORMS)
async def test_texts_stay_what_they_are_in_every_form(sqlite_client: httpx2.AsyncClient, form: str) -> None:
    rows = [
        {"id": "=1", "inputs": TEXTS, "reference": "-1", "tags": ["a", "b"], "split": "test", "cluster": "c"},
        {"id": "b", "inputs": {"quote": '""'}, "history": [{"role": "user", "content": 'say "x",\r then'}]},
    ]
    found = await back(sqlite_client, form, rows)
    assert [i["inputs"] for i in found] == [TEXTS, {"quote": '""'}]
    assert found == await items(sqlite_client, "d")


RICH: dict[str, Any] = {
    "number": 1.5,
    "whole": 7,
    "truth": True,
    "list": ["a", "b"],
    "object": {"x": [1, 2], "y": "z"},
    "empty": "",
}
RECORDED = {"m": {"text": "x", "latency_ms": 1.5, "tool_calls": [{"id": "1"}]}}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
async def test_parquet_and_json_lines_keep_types_and_whole_recordings(
    sqlite_client: httpx2.AsyncClient, form: str
) -> None:
    rows = [
        {"id": "a", "inputs": RICH, "reference": ["x", "y"], "recorded": RECORDED},
        {"id": "b", "inputs": {"number": 2}, "recorded": {"m": {"text": "y"}}},
    ]
    assert await back(sqlite_client, form, rows) == await items(sqlite_client, "d")


async def test_csv_keeps_texts_alone(sqlite_client: httpx2.AsyncClient) -> None:
    rows = [{"id": "a", "inputs": RICH, "reference": ["x", "y"], "recorded": RECORDED}]
    (found,) = await back(sqlite_client, "csv", rows)
    assert found["inputs"] == {
        "number": "1.5",
        "whole": "7",
        "truth": "true",
        "list": '["a","b"]',
        "object": '{"x":[1,2],"y":"z"}',
    }
    assert (found["reference"], found["recorded"]) == ('["x","y"]', {"m": {"text": "x"}})


@pytest.mark.parametrize(
    "values", [[{}], ["x", 1], [["x", 1]], [2**52, "x"], [{"a": {}}]], ids=["empty", "mixed", "list", "big", "inner"]
)
async def test_what_parquet_cannot_hold_is_a_problem_and_not_a_broken_file(
    sqlite_client: httpx2.AsyncClient, values: list[Any]
) -> None:
    rows = [{"id": f"i{n}", "inputs": {"v": value}} for n, value in enumerate(values)]
    await made(sqlite_client, "datasets", "d", {"items": rows})
    url = path("datasets", "d", "versions", "1", "export")
    answer = await sqlite_client.get(url, params={"format": "parquet"})
    assert problem(answer) == (422, "invalid-content", ["/format"])
    assert "take jsonl" in answer.json()["detail"]
    assert (await sqlite_client.get(url, params={"format": "jsonl"})).status_code == 200


async def test_white_space_around_the_name_of_a_parquet_column_is_not_part_of_it(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    import pyarrow
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({" id ": ["a"], "question\n": ["x"]}), sink)
    assert (await upload(sqlite_client, "d", sink.getvalue(), PARQUET)).status_code == 201
    assert [(i["id"], i["inputs"]) for i in await items(sqlite_client, "d")] == [("a", {"question": "x"})]
