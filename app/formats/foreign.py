"""Texts of other tools as templates of ours, so that rendering gives what the other tool would have sent."""

import json
import re
from functools import lru_cache
from typing import NamedTuple

from app.kit.templates import MAX_SOURCE, TemplateError, check

VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OPENING = re.compile(r"\{\{|\{%|\{#")
_SIMPLE = re.compile(r"\{\{[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*\}\}")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


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
    """A template that renders to exactly `text`."""
    source = _OPENING.sub(lambda match: "{{ '" + match[0] + "' }}", text)
    try:
        check(source)
    except TemplateError:  # so many braces that each as a tag is too much: the whole text as one
        source = "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
        check(source)
    return source


def with_variables(text: str) -> Foreign:
    """A text in which `{{ name }}` is a variable and everything else is text. Raises `TemplateError` if it is too large."""
    pieces: list[str] = []
    names: set[str] = set()
    position = 0
    for match in _SIMPLE.finditer(text):
        if not _is_variable(match[1]):
            continue
        before = literal(text[position : match.start()])
        if before.endswith("{"):  # with the next tag it would make another tag
            before = before[:-1] + "{{ '{' }}"
        pieces += [before, "{{ " + match[1] + " }}"]
        names.add(match[1])
        position = match.end()
    source = "".join([*pieces, literal(text[position:])])
    found = check(source)
    strays = tuple(
        Stray(text.count("\n", 0, m.start()) + 1, m[0] if len(m[0]) <= 60 else m[0][:57] + "…")
        for m in _TAG.finditer(text)
        if not ((simple := _SIMPLE.fullmatch(m[0])) and simple[1] in names)
    )
    return Foreign(source, found, strays)


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


@lru_cache(maxsize=1024)
def _is_variable(name: str) -> bool:
    """Whether a name is one that our language takes for a variable; `loop`, `true` and the like are none."""
    try:
        return check("{{ " + name + " }}") == {name}
    except TemplateError:
        return False
