"""From variables to messages."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from app.kit.errors import FieldError, InvalidContentError
from app.kit.pointers import escape
from app.kit.templates import TemplateError
from app.kit.templates import render as render_template
from app.llm.schemas import Message
from app.registry.kinds.prompt import Prompt

if TYPE_CHECKING:
    import jsonschema_rs

CONTEXT = "context"
"""The variable that retrieval fills."""
HISTORY = "history"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def placeholders(prompt: Prompt) -> list[str]:
    return [message.placeholder for message in prompt.messages if message.placeholder is not None]


def used(prompt: Prompt, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that the prompt declares, as variables or as placeholders."""
    names = placeholders(prompt)
    return {name: value for name, value in inputs.items() if name in prompt.variables or name in names}


def variables(prompt: Prompt, given: Mapping[str, Any], *, filled: str | None = None) -> dict[str, Any]:
    """The value of every declared variable: as given, else its default. The one that retrieval fills is left out.

    Raises `InvalidContentError` with `/variables/<name>` for each that is undeclared, missing, or does not fit its schema.
    """
    named = placeholders(prompt)
    errors = [
        FieldError(f"/variables/{escape(name)}", f"the prompt has no variable {name!r}; it has {_listed(prompt)}")
        for name in given
        if name not in prompt.variables and name not in named and name != filled
    ]
    if filled in given:
        detail = (
            f"retrieval fills the variable {filled!r}: leave it out, or run without a RAG config (`rag_config: null`)"
        )
        errors.append(FieldError(f"/variables/{filled}", detail))
    values: dict[str, Any] = {}
    for name, schema in prompt.variables.items():
        if name == filled:
            continue
        pointer = f"/variables/{escape(name)}"
        if name in given:
            values[name] = given[name]
            if problem := problem_of(schema, given[name]):
                errors.append(FieldError(pointer, f"the variable {name!r} does not fit its schema: {problem}"))
        elif "default" in schema:
            values[name] = schema["default"]
        else:
            errors.append(FieldError(pointer, f"the variable {name!r} is missing; it has no default"))
    if errors:
        raise InvalidContentError("; ".join(f"{e.pointer}: {e.detail}" for e in errors), errors)
    return values


def problem_of(schema: Mapping[str, Any], value: Any) -> str | None:
    """Why `value` does not fit a JSON Schema, or none."""
    validator = _validator(msgspec.json.encode(schema))
    if validator.is_valid(value):
        return None
    error = next(validator.iter_errors(value))
    where = "".join(f"/{part}" for part in error.instance_path)
    return f"{error.message} at {where}" if where else error.message


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> "jsonschema_rs.Validator":
    from evaluators.jsonschemas import compile_schema

    return compile_schema(msgspec.json.decode(schema))


def messages(
    prompt: Prompt, values: Mapping[str, Any], history: Sequence[Message], given: Mapping[str, Any]
) -> list[Message]:
    """The prompt with its templates rendered and its placeholders filled.

    A single placeholder takes `history`, or what is `given` under its name; of several, `history` fills the one of that name
    and the others are `given`. What fills a placeholder is never read as a template.
    """
    named = placeholders(prompt)
    if history and not named:
        detail = "the prompt has no placeholder for a history; add `- placeholder: history` to its messages"
        raise InvalidContentError(detail, [FieldError("/history", detail)])
    found: list[Message] = []
    for i, message in enumerate(prompt.messages):
        if message.placeholder is not None:
            own = len(named) == 1 or message.placeholder == HISTORY
            if own and history:
                found += _checked(history, "/history")
            else:
                name = message.placeholder
                found += _checked(given.get(name, []), f"/variables/{escape(name)}")
            continue
        try:
            content = render_template(message.content or "", values)
        except TemplateError as error:
            raise _at(f"/messages/{i}/content", error.detail) from error
        found.append({"role": message.role, "content": content})
    return found


def template(source: str, values: Mapping[str, Any], pointer: str) -> str:
    """A template of another part than the prompt; its errors point there."""
    try:
        return render_template(source, values)
    except TemplateError as error:
        raise _at(pointer, error.detail) from error


def _checked(given: Any, pointer: str) -> list[Message]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise _at(pointer, "a placeholder is filled with a list of messages")
    for i, message in enumerate(given):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            detail = f"a message needs a `role` ({', '.join(sorted(ROLES))}) and a `content`"
            raise _at(f"{pointer}/{i}", detail)
    return list(given)


def _at(pointer: str, detail: str) -> InvalidContentError:
    return InvalidContentError(f"{pointer}: {detail}", [FieldError(pointer, detail)])


def _listed(prompt: Prompt) -> str:
    return ", ".join(sorted([*prompt.variables, *placeholders(prompt)])) or "none"
