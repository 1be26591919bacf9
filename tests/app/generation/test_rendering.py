"""From variables to messages."""

import pytest

from app.generation import rendering
from app.generation.service import Generation
from app.kit.errors import InvalidContentError
from app.llm.service import LLM
from app.retrieval.service import Retrieval
from tests.app.generation.making import parsed


async def nothing(_project: str, _digest: str) -> list:
    return []


@pytest.fixture
def generation() -> Generation:
    return Generation(LLM({}), Retrieval(nothing))


PROMPT = {
    "messages": [
        {"role": "system", "content": "Answer in {{ language }}.\n\n{{ context }}"},
        {"placeholder": "history"},
        {"role": "user", "content": "{{ question }}"},
    ],
    "variables": {
        "question": {"type": "string", "minLength": 2},
        "language": {"type": "string", "default": "English"},
        "context": {"type": "string", "default": ""},
        "user": {"type": "object", "default": {}, "properties": {"age": {"type": "integer"}}},
    },
}
HISTORY = [{"role": "user", "content": "Hi {{ question }}"}, {"role": "assistant", "content": "Hello"}]


async def test_defaults_history_and_context_are_filled_in(generation):
    made = await generation.render(parsed("prompt", PROMPT), {"question": "Why?"}, HISTORY, "[1] Text")
    assert made == [
        {"role": "system", "content": "Answer in English.\n\n[1] Text"},
        {"role": "user", "content": "Hi {{ question }}"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    ]


@pytest.mark.parametrize(
    ("given", "pointers", "says"),
    [
        ({}, ["/variables/question"], "the variable 'question' is missing; it has no default"),
        (
            {"question": "x" * 3, "typo": 1},
            ["/variables/typo"],
            "no variable 'typo'; it has context, history, language",
        ),
        ({"question": 7}, ["/variables/question"], 'does not fit its schema: 7 is not of type "string"'),
        ({"question": "a"}, ["/variables/question"], "shorter than 2 characters"),
        ({"question": "ok", "user": {"age": "old"}}, ["/variables/user"], "at /age"),
        ({"question": None, "a/b": 1}, ["/variables/a~1b", "/variables/question"], "is not of type"),
    ],
)
async def test_every_bad_variable_is_named_with_its_pointer(generation, given, pointers, says):
    with pytest.raises(InvalidContentError) as caught:
        await generation.render(parsed("prompt", PROMPT), given)
    assert [error.pointer for error in caught.value.errors] == pointers
    assert says in caught.value.detail


async def test_a_history_without_a_place_is_an_error(generation):
    prompt = {"messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(InvalidContentError, match="has no placeholder for a history") as caught:
        await generation.render(parsed("prompt", prompt), {}, HISTORY)
    assert caught.value.errors[0].pointer == "/history"


async def test_several_placeholders_are_filled_by_name(generation):
    prompt = {
        "messages": [{"placeholder": "examples"}, {"placeholder": "history"}, {"role": "user", "content": "go"}],
    }
    examples = [{"role": "user", "content": "example"}]
    made = await generation.render(parsed("prompt", prompt), {"examples": examples}, HISTORY)
    assert made == [*examples, *HISTORY, {"role": "user", "content": "go"}]
    assert await generation.render(parsed("prompt", prompt), {}) == [{"role": "user", "content": "go"}]


async def test_a_single_placeholder_takes_the_history_whatever_its_name(generation):
    prompt = {"messages": [{"placeholder": "earlier"}]}
    assert await generation.render(parsed("prompt", prompt), {}, HISTORY) == HISTORY
    assert await generation.render(parsed("prompt", prompt), {"earlier": HISTORY}) == HISTORY


@pytest.mark.parametrize(
    ("history", "pointer"),
    [
        ([{"role": "robot", "content": "x"}], "/history/0"),
        ([{"content": "x"}], "/history/0"),
        (["x"], "/history/0"),
        ("x", "/history"),
    ],
)
async def test_a_history_that_is_none_is_refused(generation, history, pointer):
    with pytest.raises(InvalidContentError) as caught:
        await generation.render(parsed("prompt", PROMPT), {"question": "Why?"}, history)
    assert caught.value.errors[0].pointer == pointer


async def test_an_error_of_a_template_points_at_its_message(generation):
    prompt = {
        "messages": [{"role": "user", "content": "{{ user.name }}"}],
        "variables": {"user": {"type": "object"}},
    }
    with pytest.raises(InvalidContentError, match=r"`user\.name` is undefined") as caught:
        await generation.render(parsed("prompt", prompt), {"user": {}})
    assert caught.value.errors[0].pointer == "/messages/0/content"


def test_inputs_that_the_prompt_does_not_declare_are_left_to_the_scorers():
    inputs = {"question": "Why?", "gold_passage": "…", "history": []}
    assert rendering.used(parsed("prompt", PROMPT), inputs) == {"question": "Why?", "history": []}
