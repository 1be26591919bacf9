"""Everything that can go wrong with an endpoint: its kind, a message that names endpoint and fix, and never the key."""

import asyncio
import logging
import socket
from datetime import UTC, datetime

import pytest

from app.llm.errors import EndpointError
from app.llm.retries import RetryPolicy, retry_after
from app.llm.service import LLM
from app.llm.transport import MAX_BODY
from tests.app.llm.canned import canned, completion, hang_up, http, partly, stall
from tests.app.llm.conftest import KEY, QUICK, ask, spec

GOOD = http(200, completion())
HTML = http(200, "<!doctype html><h1>It works</h1>", content_type="text/html")


async def error_of(llm: LLM, base_url: str | None, **fields) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        await llm.call(spec(base_url, **fields), ask())
    assert "'local'" in caught.value.detail
    assert llm.in_flight == 0
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "attempts", "says"),
    [
        (
            http(400, {"error": {"message": "bad temperature"}}),
            "bad_request",
            1,
            "refused the request (400): bad temperature",
        ),
        (http(401, {"error": {"message": "Incorrect API key"}}), "auth", 1, "environment variable THE_KEY"),
        (http(403, "{}"), "auth", 1, "refused the key (403)"),
        (http(404, {"error": {"message": "no such model"}}), "not_found", 1, "is the model 'm' right"),
        (http(422, "[]"), "bad_request", 1, "(422)"),
        (http(429, {"error": {"message": "slow down"}}), "rate_limit", 4, "(tried 4 times in "),
        (http(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "rate_limit", 1, "pay"),
        (http(500, "boom"), "server", 3, "answered 500"),
        (http(502, "<html>Bad gateway</html>", content_type="text/html"), "server", 3, "an HTML page"),
        (http(503, {"error": {"message": "overloaded"}}), "server", 3, "overloaded"),
        (
            http(302, "", location="http://169.254.169.254/latest"),
            "bad_response",
            1,
            "redirects (302) to 169.254.169.254",
        ),
        (http(307, "", location="/elsewhere"), "bad_response", 1, "set base_url to the final address"),
        (HTML, "bad_response", 1, "answered with HTML where JSON is due"),
        (http(200, ""), "bad_response", 3, "answered with nothing"),
        (http(200, '{"choices": [{"mess'), "bad_response", 3, "JSON that is cut short or broken"),
        (http(200, '{"choices": "no"}'), "bad_response", 3, "choices"),
        (http(200, "[1]"), "bad_response", 3, "Expected `object`"),
        (http(200, b'{"choices": [{"message": {"content": "\xff"}}]}'), "bad_response", 3, "cut short or broken"),
        (http(200, {"choices": []}), "bad_response", 3, "without a choice"),
        (http(200, {"error": {"message": "model is loading"}}), "bad_response", 3, "model is loading"),
        (partly(GOOD[:-20]), "bad_response", 3, "cut its answer short"),
        (hang_up, "connection", 3, "closed the connection without an answer"),
        (partly(b"SSH-2.0-OpenSSH_9\r\n"), "connection", 3, "cannot be reached"),
    ],
)
async def test_a_bad_answer_is_a_typed_error(llm, answer, kind, attempts, says):
    async with canned(answer) as server:
        error = await error_of(llm, server.base_url, api_key_env="THE_KEY")
    assert (error.kind, len(server.requests)) == (kind, attempts)
    assert says in error.detail
    assert server.base_url in error.detail
    assert error.retryable == (attempts > 1)
    assert error.status == 502


async def test_a_server_that_recovers_costs_retries_and_no_error(llm):
    async with canned(http(500, ""), http(429, "", retry_after="0"), GOOD) as server:
        assert (await llm.call(spec(server.base_url), ask())).text == "hello"
    assert len(server.requests) == 3


async def test_a_stalled_socket_times_out(llm):
    async with canned(stall) as server:
        error = await error_of(llm, server.base_url, timeout_s=0.1)
    assert (error.kind, len(server.requests)) == ("timeout", 3)
    assert "within 0.1 s; raise timeout_s" in error.detail


async def test_an_answer_that_drips_times_out_too(llm):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with canned(drip) as server:
        assert (await error_of(llm, server.base_url, timeout_s=0.1)).kind == "timeout"


async def test_an_endless_answer_is_cut_off(llm):
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        for _ in range(MAX_BODY // 65536 + 64):
            writer.write(b" " * 65536)
            await writer.drain()

    async with canned(flood) as server:
        error = await error_of(llm, server.base_url)
    assert (error.kind, error.retryable) == ("bad_response", False)
    assert "more than 32 MiB" in error.detail


async def test_a_closed_port_is_named(llm):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await error_of(llm, f"http://127.0.0.1:{port}/v1")
    assert error.kind == "connection"
    assert f"http://127.0.0.1:{port}/v1 refuses connections; is the server running?" in error.detail


async def test_a_host_that_does_not_exist_is_named(llm):
    error = await error_of(llm, "http://no-such-host.invalid/v1")
    assert (error.kind, error.retryable) == ("connection", True)
    assert "no-such-host.invalid" in error.detail
    assert "does not resolve" in error.detail


async def test_plain_http_behind_https_is_a_connection_error(llm):
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await error_of(llm, f"https://127.0.0.1:{port}/v1")
    assert (error.kind, error.retryable) == ("connection", False)
    assert "does not speak TLS" in error.detail


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"api_key_env": "MISSING"}, "its key from the environment variable MISSING, which is not set"),
        ({"base_url_env": "MISSING"}, "its base_url from the environment variable MISSING"),
        ({"provider": "openai"}, "the environment variable OPENAI_API_KEY"),
        ({"provider": "replay"}, "replays recorded answers and calls nothing"),
    ],
)
async def test_what_is_not_configured_is_named_with_its_variable(llm, fields, says):
    error = await error_of(llm, None if "base_url_env" in fields else "http://127.0.0.1:9/v1", **fields)
    assert (error.kind, error.retryable, llm.calls) == ("not_configured", False, 0)
    assert says in error.detail


@pytest.mark.parametrize(
    "url",
    [None, "", "not an address", "ftp://host/v1", "http://", "file:///etc/passwd", "http://h:99999", "http://[::1"],
)
async def test_an_address_that_is_none_is_refused(llm, url):
    assert (await error_of(llm, url)).kind == "not_configured"


async def test_base_url_can_come_from_the_environment(llm):
    error = await error_of(llm, None, base_url_env="THE_URL")
    assert "http://127.0.0.1:9/v1" in error.detail


async def test_the_key_is_in_no_message_log_or_representation(llm, caplog):
    caplog.set_level(logging.DEBUG)
    echo = http(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    async with canned(echo) as server:
        error = await error_of(llm, server.base_url, api_key_env="THE_KEY")
        shown = [error.detail, repr(error), str(error.errors), caplog.text, repr(llm), repr(list(llm._pools.values()))]
    assert "********" in error.detail
    assert not any(KEY in text for text in shown)


async def test_user_and_password_in_base_url_are_refused_and_not_shown(llm):
    error = await error_of(llm, "http://user:hunter2@127.0.0.1:9/v1")
    assert error.kind == "not_configured"
    assert "hunter2" not in error.detail


async def test_retry_after_is_waited_for_and_holds_the_whole_endpoint():
    llm = LLM({}, allow_loopback=True, retries=QUICK)
    loop = asyncio.get_running_loop()
    async with canned(http(429, "", retry_after="0.3"), GOOD) as server:
        endpoint = spec(server.base_url)
        started = loop.time()
        first = asyncio.create_task(llm.call(endpoint, ask("first")))
        await asyncio.sleep(0.15)
        second = asyncio.create_task(llm.call(endpoint, ask("second")))
        await asyncio.gather(first, second)
        assert loop.time() - started >= 0.3
        assert server.requests[0]["messages"][0]["content"] == "first"
        assert len(server.requests) == 3
    await llm.close()


async def test_a_retry_after_beyond_our_patience_is_not_waited_for(llm):
    async with canned(http(429, {"error": {"message": "daily limit"}}, retry_after="3600")) as server:
        error = await error_of(llm, server.base_url)
    assert (error.kind, error.retry_after_s, len(server.requests)) == ("rate_limit", 3600.0, 1)


async def test_a_waiting_retry_holds_no_slot():
    policy = RetryPolicy(attempts=2, base_s=0.4, most_s=0.4)
    llm = LLM({}, allow_loopback=True, retries=policy)
    async with canned(http(500, ""), GOOD) as server:
        from app.llm.schemas import Limits

        endpoint = spec(server.base_url, limits=Limits(max_concurrency=1))
        retried = asyncio.create_task(llm.call(endpoint, ask("first")))
        await asyncio.sleep(0.1)
        assert llm.in_flight == 0
        await asyncio.wait_for(llm.call(endpoint, ask("second")), 0.15)
        assert not retried.done()
        await retried
    await llm.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers, seconds):
    assert retry_after(headers, datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)) == seconds


def test_pauses_double_with_jitter_and_end():
    policy = RetryPolicy(attempts=4, base_s=1.0, most_s=3.0, total_s=10.0)
    error = EndpointError("server", "x", retryable=True)
    for attempt, low, high in ((1, 0.5, 1.0), (2, 1.0, 2.0), (3, 1.5, 3.0)):
        pauses = {policy.pause_s(error, attempt, 0.0) for _ in range(50)}
        assert all(p is not None and low <= p <= high for p in pauses)
        assert len(pauses) > 1
    assert policy.pause_s(error, 4, 0.0) is None
    assert policy.pause_s(error, 1, 9.9) is None
    assert policy.pause_s(EndpointError("auth", "x"), 1, 0.0) is None
