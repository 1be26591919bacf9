"""Collects what an importer finds, under names that are allowed and free."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.formats.foreign import VARIABLE, Foreign
from app.formats.naming import MAX_NAME, is_label, name_of
from app.formats.schemas import Imported, Loss, Version
from app.formats.sources import refused
from app.kit.documents import dump
from app.kit.templates import TemplateError

EXACT_INTEGERS = 2**53
NOT_PARAMS = {
    "model": "the model is part of an endpoint",
    "messages": "messages stand at the top of a prompt",
    "tools": "tools come from a tool config",
    "tool_choice": "tools come from a tool config",
    "response_format": "response_format stands at the top of a prompt",
    "stream": "who calls decides that",
    "n": "ask for repeats in the suite instead",
}


class Builder:
    """One import in the making; each `lose` and each refusal names the file that is read."""

    def __init__(self) -> None:
        self.imported = Imported()
        self._taken: set[tuple[str, str]] = set()
        self._lost: set[Loss] = set()

    def lose(self, path: str, line: int | None, what: str) -> None:
        loss = Loss(path, line, what)
        if loss not in self._lost:
            self._lost.add(loss)
            self.imported.losses.append(loss)

    def strays(self, path: str, first_line: int | None, foreign: Foreign) -> None:
        """Notes what looked like a tag and is kept as text."""
        for stray in foreign.strays:
            line = None if first_line is None else first_line + stray.line - 1
            self.lose(path, line, f"`{stray.tag}` is no variable or statement here; it is kept as plain text")

    def free(self, kind: str, name: str) -> str:
        """`name`, or with a number behind it when the kind has one of that name already (in whatever case)."""
        candidate, number = name, 1
        while (kind, candidate.lower()) in self._taken:
            number += 1
            ending = f"-{number}"
            candidate = name[: MAX_NAME - len(ending)] + ending
        self._taken.add((kind, candidate.lower()))
        return candidate

    def prompt(self, wanted: str, content: dict[str, Any], path: str, line: int | None = None) -> str:
        """Adds a prompt under a free name, which is returned."""
        name = self.free("prompt", name_of(wanted))
        self.set_prompt(name, content, path, line)
        return name

    def set_prompt(self, name: str, content: dict[str, Any], path: str, line: int | None = None) -> None:
        storable(content, path, line)
        self.imported.files[f"prompts/{name}.prompt.yaml"] = dump(content)

    def dataset(self, name: str, items: Iterable[Mapping[str, Any]], path: str) -> None:
        lines = []
        for item in items:
            storable(item, path, None)
            lines.append(json.dumps(item, ensure_ascii=False))
        self.imported.files[f"datasets/{name}.jsonl"] = "\n".join(lines) + "\n"

    def suite(self, name: str, content: dict[str, Any], path: str) -> None:
        storable(content, path, None)
        self.imported.files[f"datasets/{name}.suite.yaml"] = dump(content)

    def version(self, version: Version, path: str, line: int | None) -> None:
        storable(version.content, path, line)
        self.imported.history.append(version)

    def labels(self, given: Iterable[Any], path: str, line: int | None) -> list[str]:
        """The labels that are allowed here; `latest` goes without saying, others are losses."""
        kept = []
        for label in given:
            if isinstance(label, str) and is_label(label):
                kept.append(label)
            elif label != "latest":
                self.lose(path, line, f"the label {label!r} is not allowed here: a-z, 0-9, '_' and '-', at most 40")
        return kept

    def params(self, given: Mapping[str, Any], path: str, line: int | None) -> dict[str, Any]:
        """Parameters of a model call without those that a prompt cannot hold, which are losses."""
        for name in given:
            if name in NOT_PARAMS:
                self.lose(path, line, f"the parameter {name!r} is not kept: {NOT_PARAMS[name]}")
        return {name: value for name, value in given.items() if name not in NOT_PARAMS}


def declared(names: Iterable[str], schemas: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """The `variables` of a prompt: a text each, unless its schema is known."""
    known = schemas or {}
    return {name: dict(known.get(name, {"type": "string"})) for name in sorted({*names, *known})}


def checked_variable(name: str, path: str, line: int | None) -> str:
    if not VARIABLE.fullmatch(name):
        raise refused(path, line, f"{name!r} is no name of a variable: a letter, then letters, digits and underscores")
    return name


def line_of(first_line: int | None, error: TemplateError) -> int | None:
    """The line in the file of a template that our language refuses."""
    return first_line if first_line is None or error.line is None else first_line + error.line - 1


def storable(value: Any, path: str, line: int | None) -> None:
    """Refuses numbers that JSON does not hold exactly, and text that is none."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, Mapping):
            stack += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple):
            stack += each
        elif isinstance(each, int | float) and not -EXACT_INTEGERS < each < EXACT_INTEGERS:
            raise refused(path, line, f"{each} is past 2**53, where JSON numbers stop being exact; write it as a text")
        elif isinstance(each, str) and ("\x00" in each or any("\ud800" <= c <= "\udfff" for c in each)):
            raise refused(path, line, "a text holds a NUL or half a character; remove it")
