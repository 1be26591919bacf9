"""The one path, against a server on a socket."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from app.generation.schemas import AnswerDelta, CaseInput
from app.generation.service import Generation, answer_key, sent
from app.kit.errors import InvalidContentError
from app.llm.errors import EndpointError
from app.llm.retries import RetryPolicy
from app.llm.schemas import ToolCall, Usage
from app.llm.service import LLM
from app.retrieval.service import Retrieval
from tests.app.generation.making import QUESTION, Item, bundle
from tests.app.llm.canned import canned, completion, events, http

CORPUS = [
    Item("timeout", {"title": "Timeout", "text": "The default timeout is 60 seconds."}),
    Item("price", {"title": "Price", "text": "Prices are dollars per million tokens. {{ question }}"}),
]


async def load(_project: str, _digest: str) -> list[Item]:
    return CORPUS


@pytest.fixture
async def generation() -> AsyncIterator[Generation]:
    llm = LLM({}, allow_loopback=True, retries=RetryPolicy(attempts=2, base_s=0.01))
    retrieval = Retrieval(load)
    yield Generation(llm, retrieval)
    await llm.close()
    await retrieval.close()


ASK = CaseInput({"question": "What is the default timeout?", "gold": "60"})


async def test_an_answer_has_text_usage_cost_and_latency(generation):
    async with canned(http(200, completion("60 seconds"))) as server:
        price = {"input": 1.0, "output": 2.0, "cached_input": 0.5}
        answer = await generation.generate(bundle(server.base_url, price=price), ASK)
    assert (answer.status, answer.text, answer.finish_reason, answer.model) == (
        "answered",
        "60 seconds",
        "stop",
        "canned-1",
    )
    assert answer.usage == Usage(10, 5, 4)
    assert answer.cost_nano == 6 * 1000 + 4 * 500 + 5 * 2000
    assert answer.latency_ms is not None
    assert answer.latency_ms > 0
    assert answer.parsed is answer.tool_calls is answer.context is answer.error is None
    assert server.requests[0]["messages"] == [{"role": "user", "content": "What is the default timeout?"}]


async def test_a_cost_that_is_not_known_is_not_zero(generation):
    async with canned(http(200, completion())) as server:
        assert (await generation.generate(bundle(server.base_url), ASK)).cost_nano is None
    async with canned(http(200, completion(usage=None))) as server:
        assert (await generation.generate(bundle(server.base_url, price={"input": 1.0}), ASK)).cost_nano is None


async def test_params_of_candidate_prompt_and_endpoint_override_in_this_order(generation):
    prompt = {**QUESTION, "params": {"temperature": 0.5, "max_tokens": 5, "stop": ["x"]}}
    own = {"temperature": 1.0, "max_tokens": 1, "seed": 1}
    async with canned(http(200, completion())) as server:
        made = bundle(server.base_url, prompt, params={"max_tokens": 9, "stop": None}, endpoint_params=own)
        await generation.generate(made, ASK)
    assert server.requests[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "What is the default timeout?"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 1,
    }


SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("form", "text", "parsed"),
    [
        (SCHEMA, '{"a": [1, null]}', {"a": [1, None]}),
        ({"type": "json_object"}, " 7 ", 7),
        (SCHEMA, "Sure! {}", None),
        (SCHEMA, "", None),
        ({"type": "text"}, "{}", None),
    ],
)
async def test_the_text_is_parsed_when_json_was_asked_for(generation, form, text, parsed):
    async with canned(http(200, completion(text))) as server:
        answer = await generation.generate(bundle(server.base_url, {**QUESTION, "response_format": form}), ASK)
    assert (answer.status, answer.parsed) == ("answered", parsed)
    assert server.requests[0].get("response_format") == (None if form["type"] == "text" else form)


RAG_PROMPT = {
    "messages": [
        {"role": "system", "content": "Use this:\n{{ context }}"},
        {"role": "user", "content": "{{ question }}"},
    ],
    "variables": {"question": {"type": "string"}, "context": {"type": "string"}},
}


async def test_retrieval_fills_the_context_and_is_kept_with_the_answer(generation):
    async with canned(http(200, completion())) as server:
        answer = await generation.generate(bundle(server.base_url, RAG_PROMPT, rag={}), ASK)
    assert answer.context is not None
    assert answer.context.startswith("[1] Timeout\nThe default timeout is 60 seconds.\n\n")
    assert server.requests[0]["messages"][0]["content"] == f"Use this:\n{answer.context}"


async def test_what_was_retrieved_is_kept_in_its_order_and_what_was_sent_can_be_rendered_again(generation):
    async with canned(http(200, completion())) as server:
        made = bundle(server.base_url, RAG_PROMPT, rag={})
        answer = await generation.generate(made, ASK)
    assert answer.chunks is not None
    assert (answer.chunks[0].id, answer.chunks[0].title) == ("timeout", "Timeout")
    scores = [chunk.score for chunk in answer.chunks]
    assert scores == sorted(scores, reverse=True)
    assert sent(made, ASK, answer.context) == server.requests[0]["messages"]
    assert sent(made, ASK, None) is None, "without the context nobody knows"
    assert sent(bundle("http://127.0.0.1:9/v1"), CaseInput({}), None) is None, "a case that does not fit was never sent"


async def test_what_retrieval_finds_is_never_a_template(generation):
    async with canned(http(200, completion())) as server:
        case = CaseInput({"question": "prices"})
        answer = await generation.generate(
            bundle(server.base_url, RAG_PROMPT, rag={"context": "{{ chunks[0].text }}"}), case
        )
    assert answer.context == "Prices are dollars per million tokens. {{ question }}"


async def test_a_query_that_finds_nothing_leaves_the_context_empty(generation):
    async with canned(http(200, completion())) as server:
        case = CaseInput({"question": "zebra"})
        assert (await generation.generate(bundle(server.base_url, RAG_PROMPT, rag={}), case)).context == ""


async def test_retrieval_wins_over_a_cases_context_and_refuses_an_explicit_one(generation):
    async with canned(http(200, completion())) as server:
        made = bundle(server.base_url, RAG_PROMPT, rag={})
        case = CaseInput({"question": "timeout", "context": "mine"})
        assert "60 seconds" in ((await generation.generate(made, case)).context or "")
        with pytest.raises(InvalidContentError, match="retrieval fills the variable 'context'"):
            await generation.generate(made, CaseInput(), variables={"question": "timeout", "context": "mine"})


async def test_a_query_with_a_variable_that_has_no_value_points_at_the_query(generation):
    made = bundle("http://127.0.0.1:9/v1", RAG_PROMPT, rag={"query": "{{ topic }}"})
    with pytest.raises(InvalidContentError) as caught:
        await generation.generate(made, ASK)
    assert caught.value.errors[0].pointer == "/rag_config/query"


async def test_a_cases_history_fills_the_placeholder_and_is_left_out_where_there_is_none(generation):
    history = [{"role": "user", "content": "before"}]
    prompt = {**QUESTION, "messages": [{"placeholder": "history"}, *QUESTION["messages"]]}
    case = CaseInput({"question": "now"}, history)
    async with canned(http(200, completion())) as server:
        await generation.generate(bundle(server.base_url, prompt), case)
        await generation.generate(bundle(server.base_url), case)
        with pytest.raises(InvalidContentError, match="no placeholder"):
            await generation.generate(bundle(server.base_url), case, variables={"question": "now"})
    assert [[m["content"] for m in r["messages"]] for r in server.requests] == [["before", "now"], ["now"]]


async def test_variables_given_in_place_of_inputs_must_all_have_a_place(generation):
    with pytest.raises(InvalidContentError, match="no variable 'gold'"):
        await generation.generate(bundle("http://127.0.0.1:9/v1"), CaseInput(), variables=ASK.inputs)


TOOLS = {
    "tools": [
        {"function": {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}},
        {"function": {"name": "clock"}},
    ],
}
RECORDED = {**TOOLS, "max_rounds": 2, "results": {"kind": "recorded", "recorded": {"weather": {"sky": "blue"}}}}


def calling(*names: str, **fields) -> bytes:
    calls = [{"id": f"c{i}", "function": {"name": n, "arguments": '{"a":1}'}} for i, n in enumerate(names)]
    return http(200, completion(None, message={"tool_calls": calls}, finish_reason="tool_calls", **fields))


async def test_without_results_the_tool_call_is_the_answer(generation):
    async with canned(calling("weather")) as server:
        answer = await generation.generate(bundle(server.base_url, tools={**TOOLS, "tool_choice": "required"}), ASK)
    assert answer.tool_calls == [ToolCall("c0", "weather", '{"a":1}')]
    assert (answer.status, answer.text, answer.finish_reason) == ("answered", None, "tool_calls")
    sent = server.requests[0]
    assert sent["tool_choice"] == "required"
    assert "parallel_tool_calls" not in sent
    assert sent["tools"] == [
        {"type": "function", "function": {**TOOLS["tools"][0]["function"]}},
        {"type": "function", "function": {"name": "clock"}},
    ]


async def test_recorded_results_are_sent_back_until_the_model_answers(generation):
    async with canned(calling("weather", "weather"), calling("weather"), http(200, completion("blue"))) as server:
        made = bundle(server.base_url, tools={**RECORDED, "tool_choice": "required", "parallel_tool_calls": False})
        answer = await generation.generate(made, ASK)
    assert (answer.status, answer.text) == ("answered", "blue")
    assert [c.name for c in answer.tool_calls or ()] == ["weather"] * 3
    assert answer.usage == Usage(30, 15, 12)
    second = server.requests[1]
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert second["messages"][1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"a":1}'}
    assert second["messages"][2] == {"role": "tool", "tool_call_id": "c0", "content": '{"sky":"blue"}'}
    assert server.requests[0]["tool_choice"] == "required"
    assert "tool_choice" not in second
    assert second["parallel_tool_calls"] is False
    last = [*server.requests[2]["messages"][1:], {"role": "assistant", "content": "blue"}]
    assert answer.trajectory == last
    assert [m["role"] for m in last] == ["assistant", "tool", "tool", "assistant", "tool", "assistant"]


async def test_a_model_that_never_stops_calling_tools_has_failed(generation):
    async with canned(calling("weather")) as server:
        answer = await generation.generate(bundle(server.base_url, tools=RECORDED), ASK)
    assert (answer.status, len(server.requests)) == ("failed", 3)
    assert answer.error is not None
    assert "still called tools after 2 rounds" in answer.error
    assert answer.usage == Usage(30, 15, 12)


async def test_a_model_that_makes_up_a_tool_has_failed(generation):
    async with canned(calling("shell")) as server:
        answer = await generation.generate(bundle(server.base_url, tools=RECORDED), ASK)
    assert (answer.status, answer.error) == ("failed", "the model called the tool 'shell', which it was not given")


async def test_a_tool_without_a_recorded_result_is_our_fault_and_not_the_models(generation):
    async with canned(calling("clock")) as server:
        with pytest.raises(InvalidContentError, match="no recorded result of it; add one") as caught:
            await generation.generate(bundle(server.base_url, tools=RECORDED), ASK)
    assert caught.value.errors[0].pointer == "/tool_config/results/recorded/clock"


async def test_what_the_model_is_to_blame_for_is_a_failed_answer(generation):
    async with canned(http(200, completion("", finish_reason="content_filter"))) as server:
        answer = await generation.generate(bundle(server.base_url, price={"input": 1.0}), ASK)
    assert (answer.status, answer.text, answer.usage, answer.cost_nano, answer.latency_ms) == (
        "failed",
        None,
        None,
        None,
        None,
    )
    assert "content filter withheld" in (answer.error or "")


async def test_an_empty_answer_is_an_answer(generation):
    async with canned(http(200, completion(None))) as server:
        answer = await generation.generate(bundle(server.base_url), ASK)
    assert (answer.status, answer.text) == ("answered", "")


async def test_an_endpoint_that_fails_is_an_error_and_never_an_answer(generation):
    async with canned(http(500, "")) as server:
        with pytest.raises(EndpointError):
            await generation.generate(bundle(server.base_url), ASK)


async def test_a_stream_gives_the_text_of_all_rounds_and_then_the_answer(generation):
    call = {"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "weather", "arguments": "{}"}}]}
    first = events(
        {"choices": [{"delta": {"content": "Let me see. ", **call}, "finish_reason": "tool_calls"}]}, "[DONE]"
    )
    second = events({"choices": [{"delta": {"content": "Blue."}, "finish_reason": "stop"}]}, "[DONE]")
    async with canned(first, second) as server:
        pieces = [piece async for piece in generation.stream(bundle(server.base_url, tools=RECORDED), ASK)]
    assert [piece.text for piece in pieces] == ["Let me see. ", "Blue.", ""]
    answer = pieces[-1].answer
    assert answer is not None
    assert (answer.status, answer.text, [c.name for c in answer.tool_calls or ()]) == ("answered", "Blue.", ["weather"])


async def test_a_measured_answer_tells_how_long_it_took_to_begin_and_has_a_key_of_its_own(generation):
    chunks = [
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"delta": {"content": "60"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    ]

    async def slowly(writer):
        head, _, body = events(*chunks, "[DONE]").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        for line in body.split(b"\n\n")[:-1]:
            await asyncio.sleep(0.05)
            writer.write(line + b"\n\n")
            await writer.drain()

    async with canned(slowly) as server:
        made = bundle(server.base_url)
        answer = await generation.measured(made, ASK)
    assert (answer.text, server.requests[0]["stream"]) == ("60", True)
    assert answer.ttft_ms is not None
    assert answer.latency_ms is not None
    assert 90 < answer.ttft_ms < answer.latency_ms - 40
    assert answer_key(made, ASK, 0, "", "p", measured=True) != answer_key(made, ASK, 0, "", "p")
    async with canned(http(200, completion())) as server:
        assert (await generation.generate(bundle(server.base_url), ASK)).ttft_ms is None


async def test_logprobs_are_kept_when_the_endpoint_gives_them_in_a_form_that_is_known(generation):
    token = {"token": "6", "logprob": -0.5, "bytes": [54], "top_logprobs": [{"token": "6", "logprob": -0.5}]}
    for told, expected in (
        ({"content": [token, token]}, [-0.5, -0.5]),
        ({"content": None}, None),
        ({"tokens": ["6"]}, None),
        ("x", None),
    ):
        body = completion("66")
        body["choices"][0]["logprobs"] = told
        async with canned(http(200, body)) as server:
            answer = await generation.generate(bundle(server.base_url, params={"logprobs": True}), ASK)
        assert (answer.text, answer.logprobs) == ("66", expected)


async def test_a_recording_may_hold_all_that_scorers_read(generation):
    recorded = {
        "text": "60", "context": "[1] 60 s", "chunks": [{"id": "timeout", "text": "60 s"}], "logprobs": [-0.1],
        "trajectory": [{"role": "assistant", "content": "60"}], "ttft_ms": 12.5,
    }  # fmt: skip
    answer = await generation.generate(bundle(provider="replay"), CaseInput(recorded={"m": recorded}))
    assert (answer.context, answer.logprobs, answer.ttft_ms) == ("[1] 60 s", [-0.1], 12.5)
    assert answer.chunks is not None
    assert [chunk.id for chunk in answer.chunks] == ["timeout"]
    assert answer.trajectory == recorded["trajectory"]


async def test_a_stream_of_a_model_at_fault_ends_with_a_failed_answer(generation):
    filtered = events({"choices": [{"delta": {"content": "I"}, "finish_reason": "content_filter"}]}, "[DONE]")
    async with canned(filtered) as server:
        pieces = [piece async for piece in generation.stream(bundle(server.base_url), ASK)]
    assert pieces[0] == AnswerDelta("I")
    assert pieces[-1].answer is not None
    assert pieces[-1].answer.status == "failed"


def replay(model: str = "m", **fields):
    return bundle(None, fields.pop("prompt", None), provider="replay", model=model, **fields)


async def test_replay_answers_with_the_recording_and_calls_nothing(generation):
    recorded = {
        "m": {
            "text": '{"a": 1}',
            "latency_ms": 12.5,
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
            "tool_calls": [
                {"name": "f", "arguments": {"x": 1}},
                {"id": "c", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }
    }
    made = replay(price={"input": 1.0, "output": 1.0}, prompt={**QUESTION, "response_format": {"type": "json_object"}})
    answer = await generation.generate(made, CaseInput(recorded=recorded))
    assert (answer.status, answer.text, answer.parsed, answer.model) == ("answered", '{"a": 1}', {"a": 1}, "m")
    assert (answer.latency_ms, answer.usage, answer.cost_nano) == (12.5, Usage(3, 2, 1), 5000)
    assert answer.tool_calls == [ToolCall("call_0", "f", '{"x":1}'), ToolCall("c", "g", "{}")]
    pieces = [piece async for piece in generation.stream(made, CaseInput(recorded=recorded))]
    assert [p.text for p in pieces] == ['{"a": 1}', ""]
    assert pieces[-1].answer == answer
    assert generation.llm.calls == 0


async def test_a_recording_of_text_alone_leaves_the_rest_unknown(generation):
    answer = await generation.generate(replay(), CaseInput(recorded={"m": {"text": None}}))
    assert (answer.text, answer.latency_ms, answer.usage, answer.cost_nano) == ("", None, None, None)


async def test_a_case_without_a_recording_is_an_error_and_never_a_score(generation):
    for recorded in (None, {}, {"other": {"text": "x"}}):
        with pytest.raises(EndpointError, match=r"no answer under `recorded\.m`") as caught:
            await generation.generate(replay(), CaseInput(recorded=recorded))
        assert (caught.value.kind, caught.value.retryable) == ("not_recorded", False)


@pytest.mark.parametrize(
    "broken", [{"txt": "x"}, {"tool_calls": [{"arguments": "{}"}]}, {"usage": {"prompt_tokens": "many"}}]
)
async def test_a_malformed_recording_is_named(generation, broken):
    with pytest.raises(InvalidContentError) as caught:
        await generation.generate(replay(), CaseInput(recorded={"m": broken}))
    assert caught.value.errors[0].pointer == "/recorded/m"


def test_the_key_of_an_answer_changes_with_what_decides_it_and_with_nothing_else():
    made = bundle("http://127.0.0.1:9/v1")

    def key(bundle=made, inputs=None, history=(), repeat=0, epoch="", project="p", recorded=None) -> str:
        case = CaseInput(inputs or {"question": "a"}, list(history), recorded)
        return answer_key(bundle, case, repeat, epoch, project)

    base = key()
    said = [{"role": "user", "content": "x"}]
    assert base == key(inputs={"question": "a", "gold": "60"}, history=said, recorded={"m": {"text": "x"}})
    different = [
        key(inputs={"question": "b"}),
        key(repeat=1),
        key(epoch="rel_1"),
        key(project="q"),
        key(bundle("http://127.0.0.1:9/v1", params={"temperature": 0})),
    ]
    assert len({base, *different}) == len(different) + 1
    with_place = bundle(
        "http://127.0.0.1:9/v1", {**QUESTION, "messages": [{"placeholder": "h"}, *QUESTION["messages"]]}
    )
    assert key(with_place) != key(with_place, history=said)
    assert key(replay(), recorded={"m": {"text": "x"}}) != key(replay(), recorded={"m": {"text": "y"}})
    assert key(replay(), recorded={"m": {"text": "x"}}) == key(replay(), recorded={"m": {"text": "x"}, "n": {}})
    assert key(inputs=json.loads('{"question": "a", "b": 1}')) == key(inputs=json.loads('{"b": 1, "question": "a"}'))
