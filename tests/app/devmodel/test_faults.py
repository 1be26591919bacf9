"""Faults on demand: each kind as a client meets it, which requests it strikes, and what the counters say."""

import asyncio
import time
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from app.devmodel import running_devmodel
from app.devmodel.errors import RequestError
from app.devmodel.faults import Chooser, Fault, RateLimit

HELLO: Any = [{"role": "user", "content": "one two three four five six seven eight"}]


async def call(client: AsyncOpenAI, model: str = "dev-echo", **params: Any) -> Any:
    return await client.chat.completions.create(model=model, messages=HELLO, **params)


async def stats(base_url: str, *, reset: bool = False) -> dict[str, Any]:
    url = base_url.removesuffix("/v1") + "/stats"
    async with aiohttp.ClientSession() as session, session.delete(url) if reset else session.get(url) as reply:
        return dict(await reply.json())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("stream_error", openai.InternalServerError),
        ("disconnect", openai.APIConnectionError),
        ("truncated", ValueError),
        ("empty", ValueError),
    ],
)
async def test_each_kind_is_what_a_client_calls_by_that_name(
    client: AsyncOpenAI, base_url: str, kind: str, error: type[Exception]
) -> None:
    await stats(base_url, reset=True)
    with pytest.raises(error):
        await call(client, f"dev-echo?fail={kind}")
    with pytest.raises(error):
        await call(client, extra_headers={"x-devmodel-fault": kind})
    assert (await stats(base_url))["faults"] == {kind: 2}


@pytest.mark.parametrize("kind", ["timeout", "stall"])
async def test_a_silent_server_makes_the_client_time_out(client: AsyncOpenAI, base_url: str, kind: str) -> None:
    with pytest.raises(openai.APITimeoutError):
        await call(client.with_options(timeout=0.1), f"dev-echo?fail={kind}")
    await asyncio.sleep(0.02)
    assert (await stats(base_url))["in_flight"] == 0  # the client is gone and nobody waits for it any more


async def test_html_comes_with_status_200(base_url: str) -> None:
    body = {"model": "dev-echo?fail=html", "messages": HELLO}
    async with aiohttp.ClientSession() as session, session.post(base_url + "/chat/completions", json=body) as reply:
        assert (reply.status, reply.content_type) == (200, "text/html")
        assert (await reply.text()).startswith("<!doctype html>")


async def test_a_429_says_when_to_come_back(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await call(client, "dev-echo?fail=429&retry_after=1.2")
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.response.headers["retry-after-ms"] == "1200"
    assert caught.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("disconnect", (openai.APIConnectionError, OSError)),
        ("stall", (openai.APITimeoutError, TimeoutError)),
        ("stream_error", (openai.APIError,)),
    ],
)
async def test_a_stream_can_fail_half_way(client: AsyncOpenAI, kind: str, error: tuple[type[Exception], ...]) -> None:
    said: list[str] = []
    finished = False
    stream = await call(client.with_options(timeout=0.2), f"dev-echo?fail={kind}", stream=True)
    with pytest.raises(error):  # noqa: PT012 - where in the loop it breaks is the point
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")
            finished = finished or chunk.choices[0].finish_reason is not None
        raise AssertionError("the stream ended as if nothing had happened")
    assert 0 < len("".join(said)) < len(HELLO[0]["content"])
    assert not finished


async def test_a_truncated_stream_ends_inside_an_event_and_without_a_reason(client: AsyncOpenAI, base_url: str) -> None:
    reasons = [
        chunk.choices[0].finish_reason async for chunk in await call(client, "dev-echo?fail=truncated", stream=True)
    ]
    assert reasons
    assert set(reasons) == {None}  # the client raises nothing: whoever reads a stream has to look for its reason
    body = {"model": "dev-echo?fail=truncated", "messages": HELLO, "stream": True}
    async with aiohttp.ClientSession() as session, session.post(base_url + "/chat/completions", json=body) as reply:
        text = await reply.text()
    assert not text.endswith("\n\n")
    assert "[DONE]" not in text


async def test_a_stream_struck_by_a_status_fails_before_it_begins(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        await call(client, "dev-echo?fail=500", stream=True)


async def test_a_request_can_fail_its_first_times_and_then_succeed(client: AsyncOpenAI) -> None:
    patient = client.with_options(max_retries=2)
    reply = await call(patient, "dev-echo?fail=429*2&retry_after=0.01")
    assert reply.choices[0].message.content == HELLO[0]["content"]


async def test_latency_and_the_time_between_chunks_are_kept(client: AsyncOpenAI) -> None:
    started = time.perf_counter()
    await call(client, "dev-echo?latency_ms=60")
    assert 0.06 <= time.perf_counter() - started < 0.5
    started = time.perf_counter()
    await call(client, extra_headers={"x-devmodel-latency-ms": "60"})
    assert 0.06 <= time.perf_counter() - started < 0.5
    started = time.perf_counter()
    async for _ in await call(client, "dev-echo?chunk_ms=10", stream=True):
        pass
    assert time.perf_counter() - started >= 0.09


async def test_counters_tell_calls_and_the_most_in_flight() -> None:
    async with running_devmodel(latency_ms=100) as url, AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        await asyncio.gather(*(call(client) for _ in range(12)))
        counted = await stats(url)
        assert counted == {
            "calls": 12,
            "in_flight": 0,
            "most_in_flight": 12,
            "faults": {},
            "by_model": {"dev-echo": 12},
            "batches": 0,
        }
        assert (await stats(url, reset=True))["calls"] == 0


async def test_the_rate_limit_refuses_what_is_too_much() -> None:
    async with running_devmodel(rate_limit=120) as url, AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        results = await asyncio.gather(*(call(client) for _ in range(6)), return_exceptions=True)
        refused = [one for one in results if isinstance(one, openai.RateLimitError)]
        assert len(refused) == 4  # two a second, and a second's worth at once
        assert all(int(one.response.headers["retry-after"]) >= 1 for one in refused)
        assert (await stats(url))["faults"] == {"rate_limit": 4}


def test_a_rate_limit_lets_through_just_what_it_promises() -> None:
    now = 0.0
    limit = RateLimit(rpm=600, clock=lambda: now)
    passed = 0
    for step in range(6_000):
        now = step / 100
        passed += limit.wait_s() == 0
    assert passed == pytest.approx(600, abs=11)
    wait = limit.wait_s()
    assert wait > 0
    now += wait
    assert limit.wait_s() == 0


async def test_which_requests_fail_depends_on_the_request_and_the_seed_not_on_the_order() -> None:
    bodies = [f"request {number}".encode() for number in range(2_000)]
    fault = [Fault("500", share=0.05)]
    first, again, other = Chooser(1), Chooser(1), Chooser(2)
    failed = {body for body in bodies if first.choose(fault, body)}
    assert failed == {body for body in reversed(bodies) if again.choose(fault, body)}
    assert failed != {body for body in bodies if other.choose(fault, body)}
    assert 60 <= len(failed) <= 140  # 100 expected, four standard deviations either side
    retried = {body for body in failed if first.choose(fault, body)}
    assert len(retried) < len(failed) / 3  # a second attempt has its own luck


async def test_the_servers_own_fail_rate_strikes_a_share_and_a_request_may_say_otherwise() -> None:
    async with (
        running_devmodel(fail_rate=0.3, fail_kind="503", seed=7) as url,
        AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client,
    ):

        async def one(number: int) -> Any:
            messages: Any = [{"role": "user", "content": str(number)}]
            return await client.chat.completions.create(model="dev-echo", messages=messages)

        results = await asyncio.gather(*(one(number) for number in range(100)), return_exceptions=True)
        failed = sum(isinstance(one, openai.InternalServerError) for one in results)
        assert 15 <= failed <= 45
        assert (await stats(url))["faults"] == {"503": failed}
        await call(client, "dev-echo?fail=503:0")


@pytest.mark.parametrize("text", ["", "tired", "200", "600", "500:2", "500*", "500:x", "html*-1"])
async def test_a_fault_that_does_not_exist_is_refused(client: AsyncOpenAI, text: str) -> None:
    with pytest.raises(RequestError):
        Fault.parse(text)
    with pytest.raises(openai.BadRequestError, match="is no fault"):
        await call(client, f"dev-echo?fail={text}")


async def test_a_server_stops_at_once_although_requests_wait() -> None:
    async with running_devmodel() as url, AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        waiting = [asyncio.ensure_future(call(client, f"dev-echo?{how}")) for how in ("fail=stall", "fail=timeout")]
        slow = asyncio.ensure_future(call(client, "dev-echo?latency_ms=60000"))
        async with asyncio.timeout(5):
            while (await stats(url))["in_flight"] < 3:  # noqa: ASYNC110 - what is waited for happens in the server
                await asyncio.sleep(0.01)
        started = time.perf_counter()
    assert time.perf_counter() - started < 2
    broken = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, Exception) for one in broken)
    await asyncio.gather(slow, return_exceptions=True)
