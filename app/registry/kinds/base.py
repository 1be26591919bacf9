"""What a kind of artifact declares; everything else (versions, digests, labels, diff, sync, audit) it gets for free."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, NamedTuple

import msgspec

from app.kit.errors import FieldError, InvalidContentError

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all contents. A field equal to its default is left out of the digest, so a published default never changes."""


class Reference(NamedTuple):
    """A reference as written in a content: where it stands (JSON pointer), the kind it names, and the text."""

    pointer: str
    kind: str
    ref: str


def _no_references(_content: Any) -> Iterable[Reference]:
    return ()


def _no_problems(_content: Any) -> Iterable[FieldError]:
    return ()


def _no_disagreements(_content: Any, _pinned: Mapping[str, Any]) -> Iterable[FieldError]:
    return ()


@dataclass(frozen=True)
class Kind:
    """One kind of artifact.

    `deciding` names the top-level fields that decide an answer: only they enter a cell's key, so that a changed description,
    tag or price costs no call. `problems` returns what the types cannot say, each with its JSON pointer; `disagreements`
    what does not fit together with the contents that it refers to, which it gets by the pointer of their reference.
    """

    name: str
    plural: str
    suffix: str
    content: type[Content]
    deciding: tuple[str, ...] = ()
    references: Callable[[Any], Iterable[Reference]] = _no_references
    problems: Callable[[Any], Iterable[FieldError]] = _no_problems
    disagreements: Callable[[Any, Mapping[str, Any]], Iterable[FieldError]] = _no_disagreements
    advice: Mapping[str, str] = field(default_factory=dict)
    """What to do instead, for fields (by pointer) where the type alone does not say it."""

    @property
    def words(self) -> str:
        """How sentences call it."""
        return self.name.replace("_", " ").replace("rag ", "RAG ")

    def parse(self, data: Any, pointer: str = "") -> Any:
        """The content Struct of plain data; `InvalidContentError` with the pointer of the bad field otherwise."""
        try:
            content = msgspec.convert(data, self.content)
        except msgspec.ValidationError as error:
            refused = invalid(error, pointer, self.content)
            if advice := self.advice.get(refused.errors[0].pointer.removeprefix(pointer)):
                refused = InvalidContentError(
                    f"{refused.detail}; {advice}",
                    [FieldError(field.pointer, f"{field.detail}; {advice}") for field in refused.errors],
                )
            raise refused from error
        if problems := [FieldError(pointer + p.pointer, p.detail) for p in self.problems(content)]:
            raise InvalidContentError("; ".join(f"{p.pointer}: {p.detail}" for p in problems), problems)
        return content


_NOTHING = object()
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def schema_problems(schema: dict[str, Any], pointer: str, instance: Any = _NOTHING) -> Iterable[FieldError]:
    """What is wrong with a JSON Schema that a user wrote; or, with `instance`, with that under the schema."""
    from evaluators.jsonschemas import SchemaError, compile_schema

    try:
        validator = compile_schema(schema)
    except SchemaError as error:
        yield FieldError(pointer + error.pointer, f"not a usable JSON Schema: {error}")
        return
    if instance is not _NOTHING and not validator.is_valid(instance):
        reason = next(validator.iter_errors(instance)).message
        yield FieldError(f"{pointer}/default", f"the default does not fit its own schema: {reason}")


def template_problems(source: str, pointer: str, known: Iterable[str] | None = None) -> Iterable[FieldError]:
    """What is wrong with a template; with `known`, also every variable that is used and not one of them."""
    from app.kit.templates import TemplateError, check

    try:
        names = check(source)
    except TemplateError as error:
        yield FieldError(pointer, error.detail)
        return
    if known is not None:
        for name in sorted(names - set(known)):
            yield FieldError(pointer, f"there is no variable {name!r} here; there is {' and '.join(sorted(known))}")


def invalid(
    error: msgspec.ValidationError, pointer: str = "", known: type[msgspec.Struct] | None = None
) -> InvalidContentError:
    """msgspec's message (``Expected `int`, got `str` - at `$.a[0].b` ``) as an error with a JSON pointer.

    With `known`, an unknown field is compared with the fields that this Struct and those within it have.
    """
    from app.kit.problems import field_error

    field = field_error(error, pointer)
    if known is not None and (named := _UNKNOWN.search(field.detail)):
        field = FieldError(field.pointer, field.detail + _near(named[1], known))
    return InvalidContentError(f"{field.pointer or '/'}: {field.detail}", [field])


def _near(name: str, struct: type[msgspec.Struct]) -> str:
    from rapidfuzz import process

    found = process.extractOne(name, _fields_within(struct), score_cutoff=70)
    return f"; did you mean `{found[0]}`?" if found else ""


@cache
def _fields_within(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    _, definitions = msgspec.json.schema_components([struct])
    return tuple(sorted({name for part in definitions.values() for name in part.get("properties", {})}))
