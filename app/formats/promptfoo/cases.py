"""promptfoo's tests: from YAML, JSON, JSON lines and CSV to cases with their variables and assertions."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from app.formats.building import Builder
from app.formats.nodes import Node
from app.formats.promptfoo.tables import rows
from app.formats.sources import Sources
from app.kit.templates import TemplateError

MAX_CASES = 10_000
MAX_SIZE = 32 * 1024 * 1024
MAX_VALUE = 256 * 1024
_PASSES = 5
_NAMED = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
_CODE = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".go", ".sh")
_KEPT = frozenset({"vars", "assert", "description", "metadata", "options", "threshold", "disableDefaultAsserts"})


class Case(msgspec.Struct):
    """One case: what fills the prompt, its assertions, and where it stands."""

    inputs: dict[str, Any]
    asserts: list[Node]
    place: Node
    metadata: dict[str, Any] = {}
    reference: Any = None
    tags: list[str] = []
    threshold: float | None = None
    provider: Node | None = None


class CaseReader:
    """Reads `tests`, `scenarios` and `defaultTest` of one config."""

    def __init__(self, sources: Sources, builder: Builder, config: Node, *, rendered: bool) -> None:
        self._rendered = rendered
        self._sources, self._builder, self._config = sources, builder, config
        default = config.get("defaultTest")
        if isinstance(default.data, str):
            default = self._file(default, default.data)
        self._default = default.mapping("defaultTest") if default.data is not None else default
        self.cases: list[Case] = []
        self._size = 0
        self._reading: list[str] = []

    def read(self) -> list[Case]:
        for test in self._tests(self._config.get("tests")):
            self._add(test, None)
        for scenario in self._config.get("scenarios").one_or_more():
            if isinstance(scenario.data, str):
                scenario = self._file(scenario, scenario.data)
            for given in scenario.get("config").one_or_more():
                for test in self._tests(scenario.get("tests")):
                    self._add(test, given)
        self._report(self._default)
        return self.cases

    def _file(self, node: Node, reference: str) -> Node:
        path = self._sources.resolve(reference, node.path, node.line)[0]
        return Node.of_file(self._sources, path)

    def _tests(self, node: Node) -> Iterator[Node]:
        for entry in node.one_or_more():
            if isinstance(entry.data, str):
                yield from self._from_files(entry, entry.data)
            elif isinstance(entry.data, dict) and "path" in entry.data and "vars" not in entry.data:
                self._builder.lose(
                    entry.path, entry.line, f"tests that a program makes are not kept: {entry.data['path']}"
                )
            else:
                yield entry.mapping("a test")

    def _from_files(self, node: Node, reference: str) -> Iterator[Node]:
        if re.match(r"(https?|huggingface|az|s3):", reference):
            self._builder.lose(node.path, node.line, f"{reference!r} is not fetched; download it and import the file")
            return
        if reference.lower().split("#")[0].rpartition(":")[0].endswith(_CODE) or reference.lower().endswith(_CODE):
            self._builder.lose(
                node.path, node.line, f"{reference!r} is code; it is not run, and its tests are not kept"
            )
            return
        for path in self._sources.resolve(reference, node.path, node.line):
            lower = path.lower()
            if lower.endswith(".csv"):
                yield from rows(self._sources, path, self._builder)
            elif lower.endswith(".jsonl"):
                for number, row in self._sources.json_lines(path):
                    yield Node.at_line(row, path, number).mapping("a test")
            elif lower.endswith((".yaml", ".yml", ".json")):
                if path in self._reading:
                    raise node.refuse(f"{path} refers to itself")
                self._reading.append(path)
                yield from self._tests(Node.of_file(self._sources, path))
                self._reading.pop()
            else:
                self._builder.lose(node.path, node.line, f"{path} is no CSV, JSON or YAML file; its tests are not kept")

    def _add(self, test: Node, scenario: Node | None) -> None:
        self._report(test)
        own = [self._default, *([scenario] if scenario is not None else []), test]
        values: dict[str, Any] = {}
        for each in own:
            values |= self._values(each.get("vars"))
        options = test.get("options")
        asserts = [] if options.get("disableDefaultAsserts").data is True else self._default.get("assert").one_or_more()
        asserts += test.get("assert").one_or_more()
        metadata = {name: field.data for each in (self._default, test) for name, field in each.get("metadata").fields()}
        description = test.get("description").optional_text("a test's description")
        if description:
            metadata["description"] = description
        expand = options.get("disableVarExpansion").data is not True
        threshold = test.get("threshold").number("a test's threshold")
        if threshold is None:
            threshold = self._default.get("threshold").number("a test's threshold")
        provider = options.get("provider")
        if provider.data is None:
            provider = self._default.get("options").get("provider")

        def fill(template: str, variables: dict[str, Any]) -> str:
            return self._builder.filled(template, variables, test.path, test.line)

        lists = {name: v if expand and isinstance(v, list) else [v] for name, v in values.items()}
        for combination in itertools.product(*lists.values()):
            if len(self.cases) >= MAX_CASES:
                raise test.refuse(f"more than {MAX_CASES:,} cases, lists in `vars` counted in full")
            inputs = _resolved(dict(zip(lists, combination, strict=True)), fill if self._rendered else None)
            self._size += sum(len(value) for value in inputs.values() if isinstance(value, str)) + len(asserts)
            if self._size > MAX_SIZE:
                raise test.refuse(f"the cases hold more than {MAX_SIZE:,} characters, lists in `vars` counted in full")
            made = Case(inputs, asserts, test, dict(metadata), threshold=threshold, provider=provider)
            self.cases.append(made)

    def _values(self, node: Node) -> dict[str, Any]:
        if isinstance(node.data, str):
            node = self._file(node, node.data)
        if node.data is None:
            return {}
        found: dict[str, Any] = {}
        for name, value in node.mapping("`vars`").fields():
            data = value.data
            if isinstance(data, str) and data.startswith("file://"):
                data = self._loaded(value, data)
            found[name] = data
        return found

    def _loaded(self, node: Node, reference: str) -> Any:
        lower = reference.lower()
        if lower.endswith(_CODE) or not lower.endswith(
            (".txt", ".md", ".json", ".yaml", ".yml", ".csv", ".html", ".xml")
        ):
            self._builder.lose(
                node.path, node.line, f"{reference!r} is no text; the variable keeps this address as its value"
            )
            return reference
        path = self._sources.resolve(reference, node.path, node.line)[0]
        if lower.endswith((".yaml", ".yml")):
            return json.dumps(self._sources.document(path).data, ensure_ascii=False, separators=(",", ":"))
        return self._sources.text(path).strip()

    def _report(self, test: Node) -> None:
        for name, field in test.fields():
            if name == "options":
                for option, value in field.fields():
                    if option not in ("disableDefaultAsserts", "disableVarExpansion", "provider"):
                        self._builder.lose(value.path, value.line, f"the option `{option}` of a test is not kept")
            elif name not in _KEPT:
                self._builder.lose(field.path, field.line, f"`{name}` of a test is not kept")


def is_template(text: str) -> bool:
    return any(mark in text for mark in ("{{", "{%", "{#"))


def _resolved(inputs: dict[str, Any], fill: Callable[[str, dict[str, Any]], str] | None) -> dict[str, Any]:
    """Variables as promptfoo fills them in before the prompt: without one last line break, and naming one another.

    Where prompts are texts (with `fill`) a variable is a template, too, unless it names something that is not there.
    """
    found = {name: value.removesuffix("\n") if isinstance(value, str) else value for name, value in inputs.items()}
    for _ in range(_PASSES):
        for name, value in found.items():
            named = _NAMED.search(value) if isinstance(value, str) else None
            if named and isinstance(inner := found.get(named[1]), str | int | float) and len(value) < MAX_VALUE:
                shown = inner if isinstance(inner, str) else json.dumps(inner)
                found[name] = value[: named.start()] + shown + value[named.end() :]
    for name, value in found.items():
        if fill is not None and isinstance(value, str) and is_template(value):
            try:
                found[name] = fill(value, found)
            except TemplateError:
                continue
    return found
