"""Structured output that is no judgement: any schema in a reasonable subset gets a valid instance, or a clear refusal."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, BadRequestError

from app.devmodel.errors import RequestError
from app.devmodel.schema import instance
from tests.app.devmodel import larch

NAMES = st.sampled_from(["answer", "score", "city", "items", "next", "why", "a b", "x/y", "~", "Größe"])


def integers() -> st.SearchStrategy[dict[str, Any]]:
    def bounds(pair: tuple[int, int], open_low: bool, open_high: bool, step: int | None) -> dict[str, Any]:
        low, high = min(pair), max(pair)
        made: dict[str, Any] = {"type": "integer", "exclusiveMinimum" if open_low else "minimum": low}
        made["exclusiveMaximum" if open_high else "maximum"] = high + 2 * (step or 1)
        return {**made, "multipleOf": step} if step else made

    number = st.integers(-(10**6), 10**6)
    return st.builds(bounds, st.tuples(number, number), st.booleans(), st.booleans(), st.none() | st.integers(1, 50))


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    finite = st.floats(-1e6, 1e6, allow_nan=False)

    def bounds(low: float, width: float, open_low: bool) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum" if open_low else "minimum": low, "maximum": low + 1 + width}

    return st.builds(bounds, finite, st.floats(0, 100), st.booleans())


def texts() -> st.SearchStrategy[dict[str, Any]]:
    lengths = st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 40),
        st.integers(0, 40),
    )
    forms = st.sampled_from(
        ["date", "date-time", "time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname", "duration"]
    )
    return lengths | forms.map(lambda form: {"type": "string", "format": form})


def scalars() -> st.SearchStrategy[Any]:
    values = st.lists(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), min_size=1, max_size=5)
    return st.one_of(
        integers(),
        numbers(),
        texts(),
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({"type": ["string", "null"]}),
        st.just({}),
        values.map(lambda options: {"enum": options}),
        st.text(max_size=5).map(lambda value: {"const": value}),
    )


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, inner, max_size=4)
    objects = properties.flatmap(
        lambda parts: st.builds(
            lambda required, extra: {
                "type": "object",
                "properties": parts,
                "required": required,
                "additionalProperties": extra,
            },
            st.lists(st.sampled_from(sorted(parts)), unique=True) if parts else st.just([]),
            st.booleans(),
        )
    )
    arrays = st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner,
        st.integers(0, 3),
        st.integers(0, 3),
    )
    either = st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts})
    return objects | arrays | either


SCHEMAS = st.recursive(scalars(), nested, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS)
def test_a_filled_schema_validates(schema: Any) -> None:
    jsonschema_rs.validate(schema, instance(schema))


@settings(max_examples=60, deadline=None)
@given(
    schema=SCHEMAS,
    proposed=st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
)
def test_a_filled_schema_validates_whatever_is_proposed_for_its_fields(schema: Any, proposed: Any) -> None:
    jsonschema_rs.validate(schema, instance(schema, lambda _name, _schema: proposed))


@settings(max_examples=60, deadline=None)
@given(schema=SCHEMAS)
def test_filling_is_deterministic(schema: Any) -> None:
    assert instance(schema) == instance(json.loads(json.dumps(schema)))


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": 3},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "left", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"required": ["b"]},
            ]
        },
        {"oneOf": [{"type": "integer", "multipleOf": 7, "minimum": 1}, {"type": "string"}]},
        {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"type": "integer", "minimum": 5}, "minItems": 4, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "items": False},
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.25},
        {"type": "integer", "multipleOf": 1.5, "minimum": 1},
        True,
    ],
)
def test_references_and_combinations_are_filled(schema: Any) -> None:
    jsonschema_rs.validate(schema, instance(schema))


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"type": "dict"}, "not a usable JSON Schema"),
        (5, "not a usable JSON Schema"),
        ({"$ref": "http://127.0.0.1:9/schema"}, "cannot fetch"),
        ({"$ref": "#/$defs/missing"}, "missing"),
        ({"$ref": "#"}, "refers to itself"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "pattern"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "bounds"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "nothing is allowed at 'a'"),
        ({"not": {}}, "cannot fill"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "no alternative"),
    ],
)
def test_what_cannot_be_filled_is_refused_with_the_reason(schema: Any, part: str) -> None:
    with pytest.raises(RequestError, match=part.replace("(", r"\(")) as caught:
        instance(schema)
    assert caught.value.status == 400


async def extract(client: AsyncOpenAI, schema: dict[str, Any], title: str, question: str) -> Any:
    reply = await client.chat.completions.create(
        model="dev-large",
        messages=[
            {"role": "system", "content": "One sentence.\n\n" + larch.context(title)},
            {"role": "user", "content": question},
        ],
        response_format={"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": schema}},
    )
    return json.loads(str(reply.choices[0].message.content))


async def test_fields_get_the_answer_its_numbers_and_the_options_it_names(client: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "minutes": {"type": "integer"},
            "thing": {"enum": ["webhook", "lock", "snapshot"]},
        },
        "required": ["answer", "minutes", "thing"],
        "additionalProperties": False,
    }
    found = await extract(client, schema, "Schedules", "After how long does the lock expire?")
    assert "expires after 30 minutes" in found["answer"]
    assert (found["minutes"], found["thing"]) == (30, "lock")


async def test_a_schema_that_cannot_be_filled_is_a_bad_request(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="cannot fill this schema"):
        await extract(client, {"type": "string", "pattern": "^x$"}, "Schedules", "How?")


async def test_json_mode_uses_the_key_that_the_prompt_shows(client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model="dev-large",
        messages=[
            {"role": "system", "content": 'One sentence, as JSON: {"said": "..."}\n\nContext:\nA lock lasts an hour.'},
            {"role": "user", "content": "How long does a lock last?"},
        ],
        response_format={"type": "json_object"},
    )
    assert json.loads(str(reply.choices[0].message.content)) == {"said": "A lock lasts an hour."}
