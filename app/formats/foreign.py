"""Texts of other tools as templates of ours, so that rendering gives what the other tool would have sent."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from app.kit.templates import MAX_SOURCE, MAX_TOKENS, TemplateError, check, render

VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OPENING = re.compile(r"\{\{|\{%|\{#")
_SIMPLE = re.compile(r"\{\{[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*\}\}")
_LITERAL = re.compile(r"\{\{ '(\{[{%#]?)' \}\}")
# Neither looks past another brace, so that a text full of them takes linear time.
_TAG = re.compile(r"\{\{[^{}]*\}\}|\{%[^{}%]*%\}")
MAX_STRAYS = 20


class Stray(NamedTuple):
    """Something that looks like a tag and is kept as text: its line in the text, and how it is written."""

    line: int
    tag: str


class Foreign(NamedTuple):
    """A template of ours, the variables that it needs, and what looked like a tag in the original but is text here."""

    source: str
    names: frozenset[str]
    strays: tuple[Stray, ...] = ()


def literal(text: str) -> str:
    """A template that renders to exactly `text`. Raises `TemplateError` if it is too large."""
    source = _escaped(text)
    try:
        check(source)
    except TemplateError:  # so many braces that each as a tag is too much: the whole text as one
        source = "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
        check(source)
    return source


def with_variables(text: str) -> Foreign:
    """A text in which `{{ name }}` is a variable and everything else is text. Raises `TemplateError` if it is too large."""
    if len(text) > MAX_SOURCE:
        raise TemplateError(f"a template has at most {MAX_SOURCE} characters")
    found = [match for match in _SIMPLE.finditer(text) if _is_variable(match[1])]
    if len(found) > MAX_TOKENS:
        raise TemplateError(f"too much logic: at most {MAX_TOKENS} variables are shown in a template")
    if not found:
        return Foreign(literal(text), frozenset(), tuple(_tags(text, 0, len(text))))
    pieces: list[str] = []
    strays: list[Stray] = []
    position = 0
    for match in found:
        before = _escaped(text[position : match.start()])
        if before.endswith("{"):  # with the next tag it would make another tag
            before = before[:-1] + "{{ '{' }}"
        pieces += [before, "{{ " + match[1] + " }}"]
        strays += _tags(text, position, match.start())
        position = match.end()
    strays += _tags(text, position, len(text))
    source = "".join([*pieces, _escaped(text[position:])])
    return Foreign(source, check(source), tuple(strays))


def _escaped(text: str) -> str:
    return _OPENING.sub(lambda match: "{{ '" + match[0] + "' }}", text)


def _tags(text: str, start: int, end: int) -> Iterator[Stray]:
    for tag in islice(_TAG.finditer(text, start, end), MAX_STRAYS):
        shown = tag[0] if len(tag[0]) <= 60 else tag[0][:57] + "…"
        yield Stray(text.count("\n", 0, tag.start()) + 1, shown)


def template_or_text(text: str) -> Foreign:
    """A text file of unknown making: a template where our language takes it as one, else text with simple variables.

    Comments (`{# … #}`) would vanish, and Markdown writes anchors like that: with one, only simple variables count.
    """
    if "{#" not in text and len(text) <= MAX_SOURCE:
        try:
            return Foreign(text, check(text))
        except TemplateError:
            pass
    return with_variables(text)


def plain_variables(source: str) -> str | None:
    """The text that `with_variables` makes `source` of: variables and literal braces alone; None for more than that."""
    text = _LITERAL.sub(lambda match: match[1], source)
    try:
        foreign, names = with_variables(text), check(source)
        marks = {name: f"<{name}>" for name in names}
        same = foreign.names == names and render(foreign.source, marks) == render(source, marks)
    except TemplateError:
        return None
    return text if same else None


def in_tags(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    """`pattern.sub` within the tags of a template, and nowhere else."""
    return _TAG.sub(lambda tag: pattern.sub(replacement, tag[0]), text)


@lru_cache(maxsize=1024)
def _is_variable(name: str) -> bool:
    """Whether a name is one that our language takes for a variable; `loop`, `true` and the like are none."""
    try:
        return check("{{ " + name + " }}") == {name}
    except TemplateError:
        return False
