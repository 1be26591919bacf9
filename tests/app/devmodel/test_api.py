"""The API as the official client and plain HTTP see it: shapes, usage, errors, counters."""

import base64
import math
import struct
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError

from app.devmodel import Options, create_devmodel, running_devmodel
from app.devmodel.embeddings import embed

HELLO = [{"role": "user", "content": "hello world, this is a longer message"}]


async def post(base_url: str, body: bytes, path: str = "/chat/completions") -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as session, session.post(base_url + path, data=body) as reply:
        return reply.status, await reply.json()


async def test_every_place_says_that_it_is_no_language_model(client: AsyncOpenAI, base_url: str) -> None:
    models = [one async for one in client.models.list()]
    assert {"dev-large", "dev-small"} <= {one.id for one in models}
    assert all(one.id.startswith("dev-") for one in models)
    assert all("Not a language model" in str(one.model_extra) for one in models)
    reply = await client.chat.completions.create(model="dev-echo", messages=HELLO)
    assert reply.system_fingerprint == "devmodel-not-a-language-model"
    async with aiohttp.ClientSession() as session, session.get(base_url.removesuffix("/v1")) as page:
        about = await page.json()
    assert about["is_a_language_model"] is False


async def test_usage_counts_four_characters_as_a_token(client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="dev-echo", messages=HELLO)
    length = len(HELLO[0]["content"])
    assert reply.usage is not None
    assert reply.usage.completion_tokens == math.ceil(length / 4)
    assert reply.usage.prompt_tokens == math.ceil(length / 4) + 3
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


async def test_a_stream_says_the_same_as_the_whole_answer_and_ends_with_usage(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="dev-echo", messages=HELLO, n=2)
    stream = await client.chat.completions.create(
        model="dev-echo",
        messages=HELLO,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
    )
    said = ["", ""]
    reasons: list[str | None] = [None, None]
    chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert said == [choice.message.content for choice in whole.choices]
    assert reasons == ["stop", "stop"]
    assert chunks[-1].usage == whole.usage
    assert len(chunks) > 10


async def test_max_tokens_and_stop_cut_the_answer(client: AsyncOpenAI) -> None:
    cut = await client.chat.completions.create(model="dev-echo", messages=HELLO, max_tokens=2)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("hello wo", "length")
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2
    stopped = await client.chat.completions.create(model="dev-echo", messages=HELLO, stop=[",", "wor"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("hello ", "stop")


async def test_text_parts_are_read_and_pictures_refused(client: AsyncOpenAI) -> None:
    text = {"type": "text", "text": "two"}
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    reply = await client.chat.completions.create(model="dev-echo", messages=[{"role": "user", "content": [text, text]}])
    assert reply.choices[0].message.content == "two\ntwo"
    with pytest.raises(BadRequestError, match="reads text only"):
        await client.chat.completions.create(model="dev-echo", messages=[{"role": "user", "content": [picture]}])


async def test_embeddings_have_unit_length_and_the_same_words_the_same_vector(client: AsyncOpenAI) -> None:
    texts = ["The gate blocks a release", "a release, the gate blocks", "bananas are yellow", "!!!"]
    reply = await client.embeddings.create(model="dev-embed", input=texts)
    vectors = [one.embedding for one in reply.data]
    assert all(math.isclose(sum(x * x for x in vector), 1, rel_tol=1e-5) for vector in vectors)
    assert vectors[0] == vectors[1]
    assert sum(a * b for a, b in zip(vectors[0], vectors[2], strict=True)) < 0.5
    short = await client.embeddings.create(model="dev-embed", input="x y", dimensions=8, encoding_format="float")
    assert len(short.data[0].embedding) == 8


async def test_base64_embeddings_are_little_endian_floats(base_url: str) -> None:
    body = b'{"model": "dev-embed", "input": "one two three", "encoding_format": "base64"}'
    _, reply = await post(base_url, body, "/embeddings")
    coded = base64.b64decode(reply["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(coded) // 4}f", coded)) == pytest.approx(embed("one two three"))


async def test_an_unknown_model_is_not_found_under_the_name_that_openai_gives_it(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFoundError):
        await client.models.retrieve("gpt-4o")
    assert (await client.models.retrieve("dev-small")).id == "dev-small"


@pytest.mark.parametrize(
    ("body", "param", "part"),
    [
        (b"{", None, "could not parse the JSON body"),
        (b"\xff", None, "could not parse the JSON body"),
        (b"[]", None, "Expected `object`"),
        (b'{"model": "dev-large"}', "messages", "Missing required parameter: 'messages'"),
        (b'{"messages": []}', "model", "Missing required parameter: 'model'"),
        (b'{"model": "dev-large", "messages": []}', "messages", "messages is empty"),
        (b'{"model": "dev-large", "messages": [{"role": "king"}]}', "messages", "'king' is not one of"),
        (b'{"model": "dev-large", "messages": [{"content": ""}]}', "messages[0].role", "Missing required parameter"),
        (b'{"model": "dev-echo", "messages": [{"role": "user"}], "max_tokens": 0}', "max_tokens", ">= 1"),
        (b'{"model": "dev-echo?speed=9", "messages": [{"role": "user"}]}', "model", "no parameter"),
        (b'{"model": "dev-echo?latency_ms=x", "messages": [{"role": "user"}]}', "model", "not 'x'"),
    ],
)
async def test_a_malformed_request_is_refused_in_the_shape_of_openai(
    base_url: str, body: bytes, param: str | None, part: str
) -> None:
    status, reply = await post(base_url, body)
    error = reply["error"]
    assert isinstance(error, dict)
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert part in error["message"]
    assert error["param"] == param


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/models", 405)])
async def test_unknown_paths_and_methods_are_refused(base_url: str, method: str, path: str, status: int) -> None:
    url = base_url.removesuffix("/v1") + path
    async with aiohttp.ClientSession() as session, session.request(method, url) as reply:
        assert reply.status == status
        assert "error" in await reply.json()


async def test_a_required_key_is_checked() -> None:
    async with running_devmodel(api_key="secret") as url:
        async with AsyncOpenAI(base_url=url, api_key="wrong", max_retries=0) as stranger:
            with pytest.raises(AuthenticationError) as caught:
                await stranger.chat.completions.create(model="dev-echo", messages=HELLO)
        assert caught.value.code == "invalid_api_key"
        async with AsyncOpenAI(base_url=url, api_key="secret", max_retries=0) as friend:
            await friend.chat.completions.create(model="dev-echo", messages=HELLO)


async def test_a_body_beyond_the_limit_is_refused_before_it_is_all_read() -> None:
    sent: list[dict[str, Any]] = []
    parts = iter(range(100))

    async def receive() -> dict[str, Any]:
        next(parts)
        return {"type": "http.request", "body": b" " * 2**20, "more_body": True}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    await create_devmodel()(scope, receive, send)
    assert sent[0]["status"] == 413
    assert next(parts) < 40


async def test_a_taken_port_is_an_error_that_the_caller_sees(base_url: str) -> None:
    port = int(base_url.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match="in use"):
        async with running_devmodel(port=port):
            pass


@pytest.mark.parametrize(
    "fields",
    [{"fail_rate": 2.0}, {"latency_ms": -1.0}, {"rate_limit": 0.0}, {"fail_kind": "tired"}, {"fail_kind": "200"}],
)
def test_options_that_make_no_sense_are_refused(fields: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Options(**fields)
