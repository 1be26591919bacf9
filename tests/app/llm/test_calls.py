"""What a call sends and what becomes of its answer, over a socket."""

import asyncio
import gc

import pytest

from app.devmodel.server import running_devmodel
from app.llm.errors import EndpointError, ModelFaultError
from app.llm.retries import RetryPolicy
from app.llm.schemas import Delta, Limits, ToolCall, Usage
from app.llm.service import LLM
from tests.app.llm.canned import canned, completion, events, http, slowly, stall
from tests.app.llm.conftest import KEY, ask, spec


async def test_an_answer_carries_text_usage_model_and_latency(llm):
    async with canned(slowly(http(200, completion("Grüße 👋")), 0.03)) as server:
        reply = await llm.call(spec(server.base_url), ask("hi"))
    assert (reply.text, reply.finish_reason, reply.model) == ("Grüße 👋", "stop", "canned-1")
    assert reply.usage == Usage(10, 5, 4)
    assert 30 <= reply.latency_ms < 3000
    assert (llm.calls, llm.in_flight) == (1, 0)


async def test_a_request_sends_what_it_was_given_and_no_more(llm):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    async with canned(http(200, completion())) as server:
        await llm.call(
            spec(server.base_url, api_key_env="THE_KEY"),
            ask(
                params={"temperature": 0, "seed": 7},
                tools=tools,
                tool_choice="auto",
                parallel_tool_calls=False,
                response_format={"type": "json_object"},
            ),
        )
        await llm.call(spec(server.base_url), ask())
    assert server.requests[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0,
        "seed": 7,
        "tools": tools,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
    }
    assert server.requests[1] == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(server.headers[1])


async def test_the_clients_own_variables_reach_no_endpoint(llm, monkeypatch):
    secrets = {
        "OPENAI_API_KEY": "sk-other",
        "OPENAI_ADMIN_KEY": "sk-admin",
        "OPENAI_ORG_ID": "org-secret",
        "OPENAI_PROJECT_ID": "proj-secret",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_CUSTOM_HEADERS": "X-Secret: custom-secret\nAuthorization: Bearer sk-custom",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    async with canned(http(200, completion())) as server:
        await llm.call(spec(server.base_url, api_key_env="THE_KEY"), ask())
        await llm.call(spec(server.base_url), ask())
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    for headers in server.headers:
        assert set(headers) <= {
            "host",
            "authorization",
            "content-type",
            "content-length",
            "accept",
            "accept-encoding",
            "user-agent",
        }
        assert not any(value in str(headers) for value in ("sk-other", "sk-admin", "secret", "sk-custom"))


async def test_tool_calls_come_back_as_written(llm):
    calls = [
        {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}},
        {"id": None, "function": {"name": "time", "arguments": {"zone": "CET"}}},
    ]
    async with canned(http(200, completion(None, message={"tool_calls": calls}, finish_reason="tool_calls"))) as server:
        reply = await llm.call(spec(server.base_url), ask())
    assert reply.text is None
    assert reply.tool_calls == [
        ToolCall("a", "weather", '{"city": "Bonn"}'),
        ToolCall("call_1", "time", '{"zone":"CET"}'),
    ]


async def test_a_refusal_is_the_text_of_the_answer(llm):
    async with canned(http(200, completion(None, message={"refusal": "I cannot help with that."}))) as server:
        assert (await llm.call(spec(server.base_url), ask())).text == "I cannot help with that."


async def test_content_in_parts_is_joined(llm):
    parts = [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    async with canned(http(200, completion(message={"content": parts}))) as server:
        assert (await llm.call(spec(server.base_url), ask())).text == "ab"


async def test_what_no_database_could_store_is_replaced(llm):
    async with canned(http(200, completion("a\x00b"))) as server:
        assert (await llm.call(spec(server.base_url), ask())).text == "a\ufffdb"


async def test_first_calls_at_the_same_time_share_one_client(llm):
    async with canned(slowly(http(200, completion()), 0.02)) as server:
        await asyncio.gather(*(llm.call(spec(server.base_url), ask()) for _ in range(10)))
    assert [pool.users for pool in llm._pools.values()] == [0]


async def test_an_answer_without_usage_has_none(llm):
    async with canned(http(200, completion(usage=None))) as server:
        assert (await llm.call(spec(server.base_url), ask())).usage is None


CHUNKS = [
    {"model": "s-1", "choices": [{"delta": {"role": "assistant", "content": "Hel"}}]},
    {"choices": [{"delta": {"content": "lo"}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
]


async def test_a_stream_gives_the_pieces_and_then_the_whole(llm):
    async with canned(events(*CHUNKS, "[DONE]")) as server:
        deltas = [delta async for delta in llm.stream(spec(server.base_url), ask())]
    assert [d.text for d in deltas] == ["Hel", "lo", ""]
    reply = deltas[-1].reply
    assert reply is not None
    assert (reply.text, reply.usage, reply.model) == ("Hello", Usage(3, 2), "s-1")
    assert server.requests[0]["stream"] is True
    assert server.requests[0]["stream_options"] == {"include_usage": True}
    assert llm.in_flight == 0


async def test_streamed_tool_calls_are_put_together(llm):
    def call(index, **fields):
        return {"choices": [{"delta": {"tool_calls": [{"index": index, **fields}]}}]}

    chunks = [
        call(0, id="a", function={"name": "f", "arguments": ""}),
        call(0, function={"arguments": '{"x":'}),
        call(1, id="b", function={"name": "g", "arguments": "{}"}),
        call(0, function={"arguments": "1}"}),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    ]
    async with canned(events(*chunks, "[DONE]")) as server:
        deltas = [delta async for delta in llm.stream(spec(server.base_url), ask())]
    assert len(deltas) == 1
    assert deltas[0].reply is not None
    assert deltas[0].reply.tool_calls == [ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")]


async def test_a_stream_is_retried_before_its_first_piece_and_never_after(llm):
    broken = events(CHUNKS[0], {"error": {"message": "overloaded"}})
    async with canned(http(500, "{}"), events(*CHUNKS, "[DONE]")) as server:
        deltas = [delta async for delta in llm.stream(spec(server.base_url), ask())]
        assert deltas[-1].reply is not None
    assert len(server.requests) == 2
    async with canned(broken) as server:
        with pytest.raises(EndpointError, match="broke the stream off: overloaded") as caught:
            async for _ in llm.stream(spec(server.base_url), ask()):
                pass
    assert (len(server.requests), caught.value.kind, llm.in_flight) == (1, "bad_response", 0)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (events(*CHUNKS[:2]), "bad_response"),
        (events(CHUNKS[0], "{not json"), "bad_response"),
        (events("[DONE]"), "bad_response"),
        (http(200, completion()), "bad_response"),
        (http(401, "{}"), "auth"),
    ],
)
async def test_a_broken_stream_is_an_error(llm, answer, kind):
    async with canned(answer) as server:
        with pytest.raises(EndpointError) as caught:
            async for _ in llm.stream(spec(server.base_url), ask()):
                pass
    assert caught.value.kind == kind
    assert llm.in_flight == 0


async def test_a_stream_that_falls_silent_times_out(llm):
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
        await writer.drain()
        await stall(writer)

    async with canned(script) as server:
        stream = llm.stream(spec(server.base_url, timeout_s=0.2), ask())
        assert await anext(stream) == Delta("a")
        with pytest.raises(EndpointError) as caught:
            await anext(stream)
    assert caught.value.kind == "timeout"


async def test_a_stream_that_is_left_frees_its_slot(llm):
    one = spec
    async with canned(events(*CHUNKS, "[DONE]")) as server:
        endpoint = one(server.base_url, limits=Limits(max_concurrency=1))
        for _ in range(3):
            stream = llm.stream(endpoint, ask())
            assert (await anext(stream)).text == "Hel"
            await stream.aclose()
            assert llm.in_flight == 0
    gc.collect()


async def test_as_many_calls_are_in_flight_as_the_limit_says_and_no_more(llm):
    async with canned(slowly(http(200, completion()), 0.05)) as server:
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=8))
        await asyncio.gather(*(llm.call(endpoint, ask()) for _ in range(40)))
    assert server.most_in_flight == 8
    assert (llm.calls, llm.in_flight) == (40, 0)


async def test_a_cancelled_call_frees_its_slot(llm):
    async with canned(stall) as server:
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=1))
        calls = [asyncio.create_task(llm.call(endpoint, ask())) for _ in range(3)]
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        assert all(isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*calls, return_exceptions=True))
        assert llm.in_flight == 0
        server._script.clear()
        server._script.append(http(200, completion()))
        assert (await llm.call(endpoint, ask())).text == "hello"


async def test_many_endpoints_do_not_pile_up(llm):
    async with canned(http(200, completion())) as server:
        for i in range(70):
            await llm.call(spec(server.base_url, name=f"e{i}"), ask())
    assert len(llm._pools) == 64


async def test_the_development_model_answers_through_it():
    async with running_devmodel() as base_url:
        llm = LLM({}, allow_loopback=True, retries=RetryPolicy(base_s=0.01, most_s=0.02))
        endpoint = spec(base_url, model="dev-echo?fail=500*1")
        assert (await llm.call(endpoint, ask("hello there"))).text == "hello there"
        assert llm.calls == 2
        texts = [d.text async for d in llm.stream(spec(base_url, model="dev-echo"), ask("one two three"))]
        assert "".join(texts) == "one two three"
        await llm.close()


async def test_the_content_filter_and_a_full_window_are_the_models_fault(llm):
    for answer, kind in [
        (http(200, completion("", finish_reason="content_filter")), "content_filter"),
        (http(400, {"error": {"code": "content_filter", "message": "blocked"}}), "content_filter"),
        (http(400, {"error": {"code": "context_length_exceeded", "message": "too many"}}), "context_length"),
        (http(400, {"error": {"message": "This model's maximum context length is 4096 tokens."}}), "context_length"),
    ]:
        async with canned(answer) as server:
            with pytest.raises(ModelFaultError) as caught:
                await llm.call(spec(server.base_url), ask())
        assert caught.value.kind == kind
        assert len(server.requests) == 1
