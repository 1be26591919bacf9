"""What is live, called with the official client as it is."""

import asyncio
from typing import Any

import httpx2
import openai
import pytest
from sqlalchemy import text

from app.access.schemas import DEFAULT_PROJECT
from tests.app.gateway.conftest import Shop, piece
from tests.app.llm.canned import events, http

MODEL = "docs/answer@production"
ASK: Any = {"variables": {"question": "why?"}, "unit": "ann"}


async def test_an_answer_is_served_with_a_receipt_that_rates_it(shop: Shop) -> None:
    release = await shop.open()
    async with shop.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=[], extra_body=ASK)
        answer = raw.parse()
    assert answer.choices[0].message.content == "you asked: why?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 15
    ours = answer.promptward  # type: ignore[attr-defined]
    assert (ours["release"], ours["version"]) == (release["id"], 1)
    assert raw.headers["x-promptward-receipt"] == ours["receipt"]
    kept = await shop.get(f"/inferences/{ours['inference_id']}")
    assert (kept["output"], kept["variables"], kept["release"]) == ("you asked: why?", ASK["variables"], release["id"])
    rating = await shop.post("/feedback", {"receipt": ours["receipt"], "signal": "thumbs", "value": 1}, 201)
    assert (rating["inference_id"], rating["version"]) == (ours["inference_id"], 1)


async def test_messages_fill_the_placeholder(shop: Shop) -> None:
    await shop.open()
    async with shop.openai() as client:
        history: Any = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
        await client.chat.completions.create(model=MODEL, messages=history, extra_body=ASK)
    assert shop.model.asked["why?"] == 1


async def test_a_stream_comes_piece_by_piece_and_its_last_chunk_is_signed(shop: Shop) -> None:
    await shop.open()
    async with shop.openai() as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=[], stream=True, stream_options={"include_usage": True}, extra_body=ASK
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "you asked: why?"
    assert len(chunks) > 4
    assert chunks[-1].usage is not None
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    ours = chunks[-1].promptward  # type: ignore[attr-defined]
    await shop.post("/feedback", {"receipt": ours["receipt"], "signal": "stars", "value": 5}, 201)
    assert (await shop.get(f"/inferences/{ours['inference_id']}"))["status"] == "answered"


async def test_without_usage_the_last_chunk_is_signed_all_the_same(shop: Shop) -> None:
    await shop.open()
    async with shop.openai() as client:
        stream = await client.chat.completions.create(model=MODEL, messages=[], stream=True, extra_body=ASK)
        chunks = [chunk async for chunk in stream]
    assert chunks[-1].promptward["receipt"]  # type: ignore[attr-defined]
    assert chunks[-1].usage is None


async def test_during_a_rollout_everybody_keeps_the_version_that_they_were_given(shop: Shop) -> None:
    live = await shop.open()
    second = await shop.roll(0.5)
    given: dict[str, set[str]] = {}
    async with shop.openai() as client:
        for n in range(60):
            unit = f"unit {n % 20}"
            body: Any = {"variables": {"question": "why?"}, "unit": unit}
            answer = await client.chat.completions.create(model=MODEL, messages=[], extra_body=body)
            given.setdefault(unit, set()).add(answer.promptward["release"])  # type: ignore[attr-defined]
        assert all(len(releases) == 1 for releases in given.values())
        assert set().union(*given.values()) == {live["id"], second["id"]}
        with pytest.raises(openai.BadRequestError) as nobody:
            await client.chat.completions.create(model=MODEL, messages=[], extra_body={"variables": {"question": "?"}})
        assert nobody.value.param == "unit"
        # OpenAI's own field for the end user will do.
        await client.chat.completions.create(
            model=MODEL, messages=[], user="unit 1", extra_body={"variables": {"question": "?"}}
        )
    async with shop.state.sessions() as session:
        tallies = await shop.state.feedback.tallies(session, DEFAULT_PROJECT, second["id"])
    counted = {(t.signal, t.arm): t.n for t in tallies if t.signal in (":responses", ":units")}
    assert counted[":responses", "candidate"] + counted[":responses", "baseline"] == 61
    assert counted[":units", "candidate"] + counted[":units", "baseline"] == 20


REFUSED: list[tuple[dict[str, Any], type[openai.APIStatusError], str | None]] = [
    ({"model": "docs/answer"}, openai.NotFoundError, "model"),
    ({"model": "docs/answer@3"}, openai.NotFoundError, "model"),
    ({"model": "docs/answer@staging"}, openai.NotFoundError, None),
    ({"model": "unknown@production"}, openai.NotFoundError, None),
    ({"model": "../x@production"}, openai.BadRequestError, "model"),
    ({"temperature": 1.5}, openai.BadRequestError, "temperature"),
    ({"max_tokens": 5}, openai.BadRequestError, "max_tokens"),
    ({"n": 2}, openai.BadRequestError, "n"),
    ({"extra_body": {}}, openai.BadRequestError, "variables.question"),
    ({"extra_body": {"variables": {"question": 7}}}, openai.BadRequestError, "variables.question"),
    ({"extra_body": {"variables": {"question": "?", "qestion": "?"}}}, openai.BadRequestError, "variables.qestion"),
    ({"extra_body": {"variables": "why"}}, openai.BadRequestError, "variables"),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_served_is_refused_as_openai_does(shop: Shop, stream: bool) -> None:
    await shop.open()
    async with shop.openai() as client:
        for change, kind, param in REFUSED:
            body = {"model": MODEL, "messages": [], "extra_body": ASK, **change}
            with pytest.raises(kind) as refused:
                await client.chat.completions.create(**body, stream=stream)
            assert refused.value.param == param, change
            assert refused.value.body is not None
    assert await _all(shop) == []


async def test_a_released_parameter_may_be_repeated(shop: Shop) -> None:
    await shop.open()
    async with shop.openai() as client:
        await client.chat.completions.create(model=MODEL, messages=[], temperature=0, extra_body=ASK)


async def test_messages_without_a_place_are_refused(shop: Shop) -> None:
    await shop.open({**CONTENT_WITHOUT_HISTORY})
    async with shop.openai() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "hi"}], extra_body=ASK
            )
    assert refused.value.param == "messages"


CONTENT_WITHOUT_HISTORY = {
    "messages": [{"role": "user", "content": "{{ question }}"}],
    "variables": {"question": {"type": "string"}},
}


async def test_keys_decide_who_may_call(shop: Shop) -> None:
    await shop.open()
    async with shop.openai("pw_wrong_" + "x" * 40) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK)
    for role, allowed in (("server", True), ("feedback", False), ("reader", False), ("ci", False)):
        key = (await shop.post("/keys", {"role": role, "name": role}, 201))["key"]
        async with shop.openai(key) as client:
            if allowed:
                await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK)
                continue
            with pytest.raises(openai.PermissionDeniedError):
                await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_fails_is_an_upstream_error_and_an_errored_inference(shop: Shop, stream: bool) -> None:
    release = await shop.open()
    shop.model.answer = lambda _body: http(401, {"error": {"message": "no such key"}})
    async with shop.openai() as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK, stream=stream)
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_auth")
    assert failed.value.response.headers["x-should-retry"] == "false"
    [row] = await _errored(shop)
    assert (row["release"], "no such key" in row["error"] or "key" in row["error"]) == (release["id"], True)


async def test_a_stream_that_breaks_off_says_so_and_does_not_end_as_if_whole(shop: Shop) -> None:
    await shop.open()
    error = {"error": {"message": "overloaded", "type": "server_error"}}
    shop.model.answer = lambda _body: events(piece("half "), piece("an"), error)
    async with shop.openai() as client:
        stream = await client.chat.completions.create(model=MODEL, messages=[], stream=True, extra_body=ASK)
        got: list[str] = []
        with pytest.raises(openai.APIError):
            await _read(stream, got)
    assert "".join(got) == "half an"
    [row] = await _errored(shop)
    assert row["output"] == "half an"


async def test_whoever_hangs_up_leaves_what_was_said(shop: Shop) -> None:
    await shop.open()
    body = {"model": MODEL, "messages": [], "stream": True, **ASK}
    async with (
        httpx2.AsyncClient(base_url=shop.url, headers={"Authorization": f"Bearer {shop.openai().api_key}"}) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        async for _ in response.aiter_lines():
            break
    for _ in range(100):
        kept = await _all(shop)
        if kept:
            break
        await asyncio.sleep(0.05)
    assert [row["status"] for row in kept] in (["errored"], ["answered"])


async def test_a_filtered_answer_is_the_models_own_fault(shop: Shop) -> None:
    await shop.open()
    shop.model.answer = lambda _body: http(400, {"error": {"message": "refused", "code": "content_filter"}})
    async with shop.openai() as client:
        answer = await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK)
    assert answer.choices[0].finish_reason == "content_filter"
    assert answer.choices[0].message.refusal
    [row] = await _all(shop)
    assert row["status"] == "failed"


async def test_models_are_what_is_live(shop: Shop) -> None:
    async with shop.openai() as client:
        assert (await client.models.list()).data == []
        await shop.open()
        assert [model.id for model in (await client.models.list()).data] == [MODEL]
        assert (await client.models.retrieve(MODEL)).id == MODEL
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("other@production")


async def test_the_same_idempotency_key_is_the_same_answer(shop: Shop) -> None:
    await shop.open()
    before = shop.model.calls
    headers = {"Idempotency-Key": "once"}
    async with shop.openai() as client:
        first, again = [
            await client.chat.completions.create(model=MODEL, messages=[], extra_body=ASK, extra_headers=headers)
            for _ in range(2)
        ]
    assert first == again
    assert shop.model.calls == before + 1


async def _read(stream: Any, got: list[str]) -> None:
    async for chunk in stream:
        got.append(chunk.choices[0].delta.content or "")


async def _all(shop: Shop) -> list[dict[str, Any]]:
    async with shop.state.sessions() as session:
        ids = (await session.execute(text("SELECT id FROM inference ORDER BY id"))).scalars().all()
    return [await shop.get(f"/inferences/{id_}") for id_ in ids]


async def _errored(shop: Shop) -> list[dict[str, Any]]:
    return [row for row in await _all(shop) if row["status"] == "errored"]


async def test_a_limit_that_was_met_once_is_not_the_answer_for_a_day(shop: Shop) -> None:
    await shop.open()
    working = shop.model.answer
    shop.model.answer = lambda _body: http(429, {"error": {"message": "slow down"}}, retry_after="0")
    body, headers = {"model": MODEL, "messages": [], **ASK}, {"Idempotency-Key": "once"}
    first = await shop.client.post("/v1/chat/completions", json=body, headers=headers)
    assert first.status_code == 429
    assert int(first.headers["retry-after"]) >= 1
    shop.model.answer = working
    again = await shop.client.post("/v1/chat/completions", json=body, headers=headers)
    assert again.status_code == 200
    assert "idempotent-replayed" not in again.headers
