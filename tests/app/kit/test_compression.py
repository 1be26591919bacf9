"""Answers are compressed as the client says it can read them; nobody waits for an event because of it."""

import json
import zlib
from pathlib import Path
from typing import Any

import brotli
import httpx2
import pytest

from app.kit.compression import negotiated
from tests.app.llm.canned import canned, completion, events, http
from tests.conftest import client_of, settings_for, started

LONG = {"content": {"messages": [{"role": "user", "content": "many words " * 1_000}]}}
PATH = "/api/v1/prompts/long/versions/1"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (b"br", b"br"),
        (b"gzip, deflate, br", b"br"),
        (b"gzip, deflate", b"gzip"),
        (b"GZIP;q=0.5", b"gzip"),
        (b"br;q=0.1, gzip;q=0.9", b"gzip"),
        (b"br;q=0, gzip;q=0", None),
        (b"br;q=0, *", b"gzip"),
        (b"*", b"br"),
        (b"*;q=0", None),
        (b"", None),
        (b"identity", None),
        (b"identity;q=1, br;q=0.5", None),
        (b"brotli, x-gzip", None),
        (b"br;q=much", None),
    ],
)
def test_the_header_is_read_as_it_is_meant(accepted: bytes, encoding: bytes | None) -> None:
    assert negotiated(accepted) == encoding


async def raw(client: httpx2.AsyncClient, path: str, accepted: str) -> tuple[httpx2.Response, bytes]:
    async with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def test_one_content_has_one_etag_however_it_is_compressed(sqlite_client: httpx2.AsyncClient) -> None:
    made = await sqlite_client.post("/api/v1/prompts/long/versions", json=LONG)
    plain, body = await raw(sqlite_client, PATH, "identity")
    brotlied, smaller = await raw(sqlite_client, PATH, "gzip, br")
    gzipped, small = await raw(sqlite_client, PATH, "gzip")
    assert brotli.decompress(smaller) == zlib.decompress(small, 31) == body
    assert json.loads(body)["content"] == LONG["content"]
    assert len(smaller) < len(body) / 10
    etags = {answer.headers["etag"] for answer in (plain, brotlied, gzipped)}
    assert etags == {f'"{made.json()["digest"]}"'}
    assert [a.headers.get("content-encoding") for a in (plain, brotlied, gzipped)] == [None, "br", "gzip"]
    for answer, sent in ((plain, body), (brotlied, smaller), (gzipped, small)):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-length"] == str(len(sent))
    headers = {"If-None-Match": etags.pop(), "Accept-Encoding": "br"}
    unchanged = await sqlite_client.get(PATH, headers=headers)
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_a_short_answer_is_left_as_it_is(sqlite_client: httpx2.AsyncClient) -> None:
    answer, body = await raw(sqlite_client, "/api/v1/prompts", "br")
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert json.loads(body)["items"] == []


async def test_event_streams_are_never_compressed(sqlite_client: httpx2.AsyncClient) -> None:
    pieces = [{"model": "m", "choices": [{"index": 0, "delta": {"content": "word " * 300}}]} for _ in range(20)]
    end = {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    async with canned(events(*pieces, end, "[DONE]")) as model:
        here = {"provider": "compatible", "base_url": model.base_url, "model": "m"}
        messages = {"content": {"messages": [{"role": "user", "content": "Hi"}]}}
        body = {"prompt": messages, "endpoint": {"content": here}, "stream": True}
        answer = await sqlite_client.post("/api/v1/generate", json=body, headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
    assert answer.text.count("event: delta") >= 20


async def test_what_is_kept_for_a_repeated_request_suits_every_client(tmp_path: Path, sqlite_url: str) -> None:
    text = "x" * 10_000
    async with (
        started(settings_for(tmp_path / "home", sqlite_url)) as app,
        client_of(app) as client,
        canned(http(200, completion(text))) as model,
    ):
        here = {"provider": "compatible", "base_url": model.base_url, "model": "m"}
        messages = {"content": {"messages": [{"role": "user", "content": "Hi"}]}}
        found: list[Any] = []
        for accepted in ("br", "gzip", "identity"):
            headers = {"Idempotency-Key": "k", "Accept-Encoding": accepted}
            body = {"prompt": messages, "endpoint": {"content": here}}
            found.append(await client.post("/api/v1/generate", json=body, headers=headers))
        assert [answer.json()["text"] for answer in found] == [text] * 3
        assert [answer.headers.get("content-encoding") for answer in found] == ["br", "gzip", None]
        assert len(model.requests) == 1


async def test_a_large_answer_and_one_in_pieces_come_whole(sqlite_client: httpx2.AsyncClient) -> None:
    items = [{"id": f"q{n}", "inputs": {"question": f"{n} " * 200}} for n in range(490)]
    made = await sqlite_client.post("/api/v1/datasets/big/versions", json={"content": {"items": items}})
    assert made.status_code == 201, made.text
    for path in ("/api/v1/datasets/big/versions/1/items?limit=490", "/docs/static/swagger-ui.css"):
        plain, body = await raw(sqlite_client, path, "identity")
        assert len(body) > 128 * 1024
        for accepted, restored in (("br", brotli.decompress), ("gzip", lambda data: zlib.decompress(data, 31))):
            answer, sent = await raw(sqlite_client, path, accepted)
            assert (answer.status_code, answer.headers["content-encoding"]) == (plain.status_code, accepted)
            assert restored(sent) == body
