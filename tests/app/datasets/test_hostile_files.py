"""Files that would cost much more than they weigh, and ids that do not show what they are."""

import resource
import time
from typing import Any

import httpx2
import pytest

from app.datasets import texts
from app.datasets.parsing import parse
from app.kit.errors import InvalidContentError
from tests.app.datasets.test_datasets import CSV, JSONL, upload
from tests.app.registry.api import got, made, path, problem

SIZE = 48 * 1024 * 1024


def lines(text: bytes) -> bytes:
    return text * (SIZE // len(text))


@pytest.mark.parametrize(
    ("data", "media_type", "says"),
    [
        (lines(b"\n"), JSONL, "more than 1,000,000 lines"),
        (lines(b'{"inputs":{}}\n'), JSONL, "more than 1,000,000 lines"),
        (b'{"inputs":{"a":"' + b"x" * SIZE + b'"}}', JSONL, "line 1: 50,331,667 bytes"),
        ("😀".encode() + b"x" * SIZE, JSONL, "line 1: 50,331,652 bytes"),
        (b"[" * 5_000_000, JSONL, "line 1: not JSON"),
        (b'{"inputs":{"a":' + b"9" * 1_000_000 + b"}}", JSONL, "line 1: not JSON"),
        (b'{"inputs":{"a":1e400}}', JSONL, "line 1: not JSON"),
        (b"a\n" + lines(b"\n"), CSV, "more than 1,000,000 rows"),
        (b"id,a\n" + lines(b"1,2\n"), CSV, "more than 1,000,000 rows"),
        (b",".join(b"c%d" % i for i in range(1_000_000)), CSV, "line 1: 1,000,000 columns"),
        (b"a,b\n" + b"," * 1_000_000, CSV, "line 2: 1000001 fields"),
        (b'a\n"' + b"x" * SIZE, CSV, "line 2: not CSV: field larger"),
        (b"a,b\n1,\x002\n", CSV, "line 2: a NUL character"),
        ("id,a\n1,2\n".encode("utf-16"), CSV, "line 1: byte 0 of the file is not UTF-8"),
        (b"a\n" + b"x" * texts.PORTION + b"\n\xc3", CSV, "line 3: byte 1048579 of the file is not UTF-8"),
        ('"é"'.encode() + b"x" * (texts.PORTION - 5) + b"\n\xe9", CSV, "line 2: byte 1048576 of the file"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_file_that_would_unfold_is_refused_soon_and_in_little_memory(data: bytes, media_type: str, says: str) -> None:
    parse(b'{"inputs":{"warm":1}}', JSONL)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InvalidContentError) as refused:
        parse(data, media_type)
    assert says in refused.value.detail
    assert time.process_time() - began < 2, "a loaded machine has twice the second it takes"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250 * 1024  # KiB


async def test_a_body_of_very_many_values_is_refused_before_it_is_decoded(sqlite_client: httpx2.AsyncClient) -> None:
    body = b'{"content":{"items":[' + b"{}," * 2_100_000 + b"{}]}}"
    url = path("datasets", "d", "versions")
    answer = await sqlite_client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert (problem(answer)[0], "4,000,000 values" in answer.json()["detail"]) == (413, True)
    assert (await got(sqlite_client, "/api/v1/datasets"))["items"] == []


@pytest.mark.parametrize(
    ("identifier", "says"),
    [
        ("a\nb", "character 2 is U+000A"),
        ("safe\u202egnp", "character 5 is U+202E"),
        ("\ufeffq1", "character 1 is U+FEFF"),
        ("q\u200b1", "character 2 is U+200B"),
        ("q1 ", "white space"),
        ("cafe\u0301", "not composed"),
    ],
)
async def test_an_id_that_does_not_show_what_it_is_is_refused(
    sqlite_client: httpx2.AsyncClient, identifier: str, says: str
) -> None:
    item: dict[str, Any] = {"id": identifier, "inputs": {"q": "x"}}
    content = {"content": {"items": [item]}}
    answer = await sqlite_client.post(path("datasets", "d", "versions"), json=content)
    assert problem(answer) == (422, "invalid-content", ["/content/items/0/id"])
    assert says in answer.json()["detail"]
    await made(sqlite_client, "datasets", "d", {"items": [{"id": "café 1", "inputs": {"q": "x"}}]})
    answer = await sqlite_client.post(path("datasets", "d", "items"), json={"put": [item]})
    assert problem(answer) == (422, "invalid-content", ["/put/0/id"])
    answer = await upload(sqlite_client, "d", f'id,q\n"{identifier}",x\n', CSV)
    assert answer.status_code == 422 or identifier.startswith("\ufeff"), "the mark at a file's begin is none of it"
    assert (await got(sqlite_client, path("datasets", "d", "versions")))["items"][0]["version"] == 1
