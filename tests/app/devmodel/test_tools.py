"""Tool calls: when one is made, with which arguments, and what is said once it has answered."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI, BadRequestError

from app.devmodel.arguments import arguments
from app.devmodel.errors import RequestError
from app.devmodel.tools import Function, Tool, calls


def tool(name: str, description: str, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = tool(
    "get_weather",
    "Get the current weather in a city.",
    ["city"],
    city={"type": "string"},
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
TRANSFER = tool(
    "transfer_money",
    "Transfer an amount of money to an account.",
    amount={"type": "number"},
    account={"type": "string", "description": "Account name"},
)
TOOLS = [WEATHER, TRANSFER]


async def asked(client: AsyncOpenAI, question: str, **params: Any) -> list[tuple[str, dict[str, Any]]]:
    reply = await client.chat.completions.create(
        model=params.pop("model", "dev-large"),
        messages=[{"role": "user", "content": question}],
        tools=params.pop("tools", TOOLS),
        **params,
    )
    choice = reply.choices[0]
    made = [(one.function.name, json.loads(one.function.arguments)) for one in choice.message.tool_calls or ()]
    assert (choice.finish_reason == "tool_calls") == bool(made)
    assert (choice.message.content is None) == bool(made)
    return made


async def test_a_question_that_matches_a_description_calls_the_tool_with_its_values(client: AsyncOpenAI) -> None:
    weather = await asked(client, "What is the weather in New York in Celsius?")
    assert weather == [("get_weather", {"city": "New York", "unit": "celsius"})]
    transfer = await asked(client, 'Transfer 12.50 to the account "Savings".')
    assert transfer == [("transfer_money", {"amount": 12.5, "account": "Savings"})]


async def test_a_question_that_matches_no_tool_calls_none(client: AsyncOpenAI) -> None:
    assert await asked(client, "Who painted the ceiling of the chapel?") == []


async def test_tool_choice_is_obeyed(client: AsyncOpenAI) -> None:
    weather, other = "What is the weather in Rome?", "Who painted the ceiling?"
    assert await asked(client, weather, tool_choice="none") == []
    assert len(await asked(client, other, tool_choice="required")) == 1
    named = {"type": "function", "function": {"name": "transfer_money"}}
    assert (await asked(client, weather, tool_choice=named))[0][0] == "transfer_money"
    with pytest.raises(BadRequestError, match="matches no tool; the tools are: get_weather"):
        await asked(client, weather, tool_choice={"type": "function", "function": {"name": "fly"}})


async def test_several_clauses_make_several_calls_unless_that_is_switched_off(client: AsyncOpenAI) -> None:
    question = "What is the weather in Rome and in Paris?"
    both = await asked(client, question)
    assert [made["city"] for _, made in both] == ["Rome", "Paris"]
    assert len(await asked(client, question, parallel_tool_calls=False)) == 1


async def test_a_streamed_call_arrives_whole(client: AsyncOpenAI) -> None:
    name, said, ids = "", "", set()
    stream = await client.chat.completions.create(
        model="dev-large",
        messages=[{"role": "user", "content": "What is the weather in Rome?"}],
        tools=TOOLS,
        stream=True,
    )
    async for chunk in stream:
        for delta in chunk.choices[0].delta.tool_calls or ():
            ids |= {delta.id} - {None}
            assert delta.function is not None
            name += delta.function.name or ""
            said += delta.function.arguments or ""
    assert (name, json.loads(said), len(ids)) == ("get_weather", {"city": "Rome"}, 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Rome has 21 degrees. The wind is weak.", "Rome has 21 degrees."),
        ('{"temperature": 21, "sky": "clear"}', "temperature is 21, sky is clear."),
        ('{"place": {"name": "Rome", "degrees": 21}}', "place: name is Rome, degrees is 21."),
    ],
)
async def test_after_a_tool_message_the_answer_comes_from_it(client: AsyncOpenAI, content: str, expected: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
    reply = await client.chat.completions.create(
        model="dev-large",
        messages=[
            {"role": "system", "content": "One sentence. Say so when it is not there."},
            {"role": "user", "content": "What is the weather in Rome?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": content},
        ],
        tools=TOOLS,
    )
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].message.content == expected


@pytest.mark.parametrize(
    ("question", "schema", "expected"),
    [
        (
            "Set width to 30 and height to 20",
            {"height": {"type": "integer"}, "width": {"type": "integer"}},
            {"height": 20, "width": 30},
        ),
        ("Add 1,200 and 3", {"values": {"type": "array", "items": {"type": "number"}}}, {"values": [1200, 3]}),
        ("Export without drafts", {"drafts": {"type": "boolean"}}, {"drafts": False}),
        ("Export with drafts", {"drafts": {"type": "boolean"}}, {"drafts": True}),
        ("What happened on 2024-05-01?", {"day": {"type": "string", "description": "the date"}}, {"day": "2024-05-01"}),
        ("Show prompt docs/answer@7", {"prompt_ref": {"type": "string"}}, {"prompt_ref": "docs/answer@7"}),
        ("Deploy to environment staging", {"environment": {"type": "string"}}, {"environment": "staging"}),
        ("Give me 500", {"code": {"type": "integer", "maximum": 255}}, {"code": 0}),
        ("Show it", {"level": {"enum": ["low", "high"]}}, {"level": "low"}),
        ("Take 5", {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, {"n": 5}),
    ],
)
def test_arguments_are_read_from_the_question(question: str, schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert arguments(question, {"type": "object", "properties": schema, "required": list(schema)}) == expected


def test_optional_arguments_without_a_sign_in_the_question_are_left_out() -> None:
    assert arguments("Show it", {"properties": {"n": {"type": "integer"}, "draft": {"type": "boolean"}}}) == {}


def test_most_functions_of_real_questions_are_found(shared_data: Path) -> None:
    lines = (shared_data / "bfcl_multiple.jsonl").read_text().splitlines()
    found = 0
    for line in lines:
        item = json.loads(line)
        tools = [Tool(msgspec.convert(one, Function)) for one in item["functions"]]
        wanted = next(iter(item["possible_answer"][0]))
        question = item["messages"][-1]["content"]
        try:
            made = calls(question, tools, "required", "dev-large", parallel=False, fresh=True)
        except RequestError:
            continue  # a few schemas use types that JSON Schema does not have, and count as missed
        found += made[0].name == wanted
    assert found >= 0.85 * len(lines)
