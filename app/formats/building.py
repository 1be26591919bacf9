"""Collects what an importer finds, under names that are allowed and free."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from app.formats.foreign import VARIABLE, Foreign
from app.formats.naming import MAX_NAME, is_label, name_of
from app.formats.schemas import Imported, Loss, Version
from app.formats.sources import refused
from app.kit.documents import dump
from app.kit.templates import render

EXACT_INTEGERS = 2**53
MAX_RENDERING_S = 3.0
_NO_TEXT = re.compile("[\\x00\\ud800-\\udfff]")


class Builder:
    """One import in the making; each `lose` and each refusal names the file that is read."""

    def __init__(self) -> None:
        self.imported = Imported()
        self._taken: set[tuple[str, str]] = set()
        self._lost: set[Loss] = set()
        self._rendering_s = 0.0
        self._versions: dict[str, list[tuple[int, Version]]] = {}

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

    def filled(self, template: str, variables: Mapping[str, Any], path: str, line: int | None) -> str:
        """A template of the source with the variables of a case; a source that asks for too much of that is refused.

        Raises `TemplateError` for what cannot be rendered.
        """
        if self._rendering_s > MAX_RENDERING_S:
            raise refused(path, line, f"filling in the variables of the cases takes more than {MAX_RENDERING_S:.0f} s")
        begun = time.thread_time()
        try:
            return render(template, variables)
        finally:
            self._rendering_s += time.thread_time() - begun

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
        storable(content, path, line)
        self.imported.files[f"prompts/{name}.prompt.yaml"] = dump(content)
        return name

    def dataset(self, name: str, items: Iterable[Mapping[str, Any]], path: str) -> None:
        lines = []
        for item in items:
            storable(item, path, None)
            lines.append(json.dumps(item, ensure_ascii=False))
        self.imported.files[f"datasets/{name}.jsonl"] = "\n".join(lines) + "\n"

    def suite(self, name: str, content: dict[str, Any], path: str) -> None:
        storable(content, path, None)
        self.imported.files[f"datasets/{name}.suite.yaml"] = dump(content)

    def version(self, version: Version, path: str, line: int | None, order: int | None = None) -> None:
        """Adds a version of a prompt; `order` is its number in the source, without one it follows those before it."""
        storable([version.content, version.author, version.date, version.message], path, line)
        known = self._versions.setdefault(version.prompt, [])
        known.append((len(known) + 1 if order is None else order, version))

    def settle(self) -> None:
        """Puts each prompt's versions into the history, oldest first, and its newest into the files."""
        for name, versions in self._versions.items():
            versions.sort(key=lambda each: each[0])
            self.imported.history += [version for _, version in versions]
            self.imported.files[f"prompts/{name}.prompt.yaml"] = dump(versions[-1][1].content)
        self._versions = {}

    def labels(self, given: Iterable[Any], path: str, line: int | None) -> list[str]:
        """The labels that are allowed here; `latest` goes without saying, others are losses."""
        kept = []
        for label in given:
            if isinstance(label, str) and is_label(label):
                kept.append(label)
            elif label != "latest":
                self.lose(path, line, f"the label {label!r} is not allowed here: a-z, 0-9, '_' and '-', at most 40")
        return kept


def declared(names: Iterable[str], schemas: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """The `variables` of a prompt: a text each, unless its schema is known."""
    known = schemas or {}
    return {name: dict(known.get(name, {"type": "string"})) for name in sorted({*names, *known})}


def checked_variable(name: str, path: str, line: int | None) -> str:
    if not VARIABLE.fullmatch(name):
        raise refused(path, line, f"{name!r} is no name of a variable: a letter, then letters, digits and underscores")
    return name


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
        elif isinstance(each, str) and _NO_TEXT.search(each):
            raise refused(path, line, "a text holds a NUL or half a character; remove it")
