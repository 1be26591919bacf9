"""promptfoo's tests: from YAML, JSON, JSON lines and CSV to cases with their variables and assertions."""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from app.formats.building import Builder
from app.formats.nodes import Node
from app.formats.sources import Sources
from app.kit.templates import TemplateError, render

MAX_CASES = 10_000
_CODE = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".go", ".sh")
_TYPE = re.compile(r"(not-)?([a-z][a-z0-9:-]*)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?")
_LISTS = frozenset({"contains-all", "contains-any", "icontains-all", "icontains-any"})
_TYPES = frozenset(
    [
        "agent-rubric",
        "answer-relevance",
        "bleu",
        "classifier",
        "contains",
        "contains-all",
        "contains-any",
        "contains-html",
        "contains-json",
        "contains-sql",
        "contains-xml",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "cost",
        "equals",
        "factuality",
        "finish-reason",
        "g-eval",
        "gleu",
        "guardrails",
        "icontains",
        "icontains-all",
        "icontains-any",
        "is-html",
        "is-json",
        "is-refusal",
        "is-sql",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "is-xml",
        "javascript",
        "latency",
        "levenshtein",
        "llm-rubric",
        "meteor",
        "model-graded-closedqa",
        "model-graded-factuality",
        "moderation",
        "perplexity",
        "perplexity-score",
        "pi",
        "python",
        "regex",
        "rouge-n",
        "ruby",
        "search-rubric",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "skill-used",
        "starts-with",
        "tool-call-f1",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "trajectory:goal-success",
        "trajectory:step-count",
        "trajectory:tool-args-match",
        "trajectory:tool-sequence",
        "trajectory:tool-used",
        "webhook",
        "word-count",
    ]
)
_KEPT = frozenset({"vars", "assert", "description", "metadata", "options", "threshold", "disableDefaultAsserts"})


class Case(msgspec.Struct):
    """One case: what fills the prompt, its assertions, and where it stands."""

    inputs: dict[str, Any]
    asserts: list[Node]
    place: Node
    metadata: dict[str, Any] = {}
    reference: Any = None
    tags: list[str] = []


class CaseReader:
    """Reads `tests`, `scenarios` and `defaultTest` of one config."""

    def __init__(self, sources: Sources, builder: Builder, config: Node) -> None:
        self._sources, self._builder, self._config = sources, builder, config
        default = config.get("defaultTest")
        if isinstance(default.data, str):
            default = self._file(default, default.data)
        self._default = default.mapping("defaultTest") if default.data is not None else default
        self.cases: list[Case] = []
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
                yield from self._csv(path)
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

    def _csv(self, path: str) -> Iterator[Node]:
        csv.field_size_limit(16 * 1024 * 1024)
        reader = csv.reader(io.StringIO(self._sources.text(path), newline=""), strict=True)
        place = Node.at_line(None, path, 1)
        try:
            header = [name.strip() for name in next(reader, [])]
            before = reader.line_num
            for row in reader:
                place, before = Node.at_line(None, path, before + 1), reader.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    raise place.refuse(f"{len(row)} fields, and the header has {len(header)}")
                yield self._row(list(zip(header, row, strict=True)), path, place.line or 1)
        except csv.Error as error:
            raise Node.at_line(None, path, reader.line_num).refuse(f"not CSV: {error}") from error

    def _row(self, cells: list[tuple[str, str]], path: str, line: int) -> Node:
        """A row as the test that promptfoo makes of it."""
        test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}}
        metric = None
        for name, cell in cells:
            if name.startswith("__expected"):
                if cell.strip():
                    test["assert"].append(assertion_of(cell.strip()))
            elif name in ("__description", "__metric", "__threshold"):
                if name == "__metric":
                    metric = cell or None
                elif cell:
                    test[name[2:]] = cell if name == "__description" else _number(cell, Node.at_line(cell, path, line))
            elif name.startswith("__metadata:"):
                key = name.removeprefix("__metadata:")
                if cell.strip():
                    many = [part.strip() for part in cell.split(",")]
                    test["metadata"][key.removesuffix("[]")] = many if key.endswith("[]") else cell
            elif name.startswith("__"):
                if cell:
                    self._builder.lose(path, line, f"the column {name} is not kept")
            else:
                test["vars"][name] = cell
        for assertion in test["assert"]:
            if metric:
                assertion["metric"] = metric
        return Node.at_line(test, path, line)

    def _add(self, test: Node, scenario: Node | None) -> None:
        self._report(test)
        own = [self._default, *([scenario] if scenario is not None else []), test]
        values: dict[str, Any] = {}
        for each in own:
            values |= self._values(each.get("vars"))
        options = test.get("options")
        asserts = [] if options.get("disableDefaultAsserts").data is True else self._default.get("assert").one_or_more()
        asserts += test.get("assert").one_or_more()
        metadata = {**(self._default.get("metadata").data or {}), **(test.get("metadata").data or {})}
        description = test.get("description").optional_text("a test's description")
        if description:
            metadata["description"] = description
        expand = options.get("disableVarExpansion").data is not True
        lists = {name: v if expand and isinstance(v, list) else [v] for name, v in values.items()}
        for combination in itertools.product(*lists.values()):
            if len(self.cases) >= MAX_CASES:
                raise test.refuse(f"more than {MAX_CASES:,} cases, lists in `vars` counted in full")
            inputs = _rendered(dict(zip(lists, combination, strict=True)))
            self.cases.append(Case(inputs, asserts, test, dict(metadata)))

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
        if lower.endswith((".json", ".yaml", ".yml")):
            return self._sources.document(path).data
        return self._sources.text(path).strip()

    def _report(self, test: Node) -> None:
        for name, field in test.fields():
            if name == "threshold" and field.data is not None:
                what = (
                    "`threshold` of a test is not kept: each scorer stands for itself here, and a gate policy decides"
                )
                self._builder.lose(field.path, field.line, what)
            elif name == "options":
                for option, value in field.fields():
                    if option not in ("disableDefaultAsserts", "disableVarExpansion"):
                        self._builder.lose(value.path, value.line, f"the option `{option}` of a test is not kept")
            elif name not in _KEPT:
                self._builder.lose(field.path, field.line, f"`{name}` of a test is not kept")


def assertion_of(text: str) -> dict[str, Any]:
    """The assertion that a cell such as `contains-any: a, b`, `latency(500)` or a bare expected text stands for."""
    for prefix in ("javascript:", "fn:", "eval:", "python:", "grade:", "llm-rubric:"):
        if text.startswith(prefix):
            kind = {"fn:": "javascript", "eval:": "javascript", "grade:": "llm-rubric"}.get(prefix, prefix[:-1])
            return {"type": kind, "value": text.removeprefix(prefix)}
    if text.startswith("file://"):
        return {"type": "python" if ".py" in text else "javascript", "value": text}
    match = _TYPE.fullmatch(text)
    if match is None or match[2] not in _TYPES:
        return {"type": "equals", "value": text}
    assertion: dict[str, Any] = {"type": (match[1] or "") + match[2]}
    if match[4] is not None:
        value = match[4].strip()
        assertion["value"] = [part.strip() for part in value.split(",")] if match[2] in _LISTS else value
    if match[3] is not None:
        assertion["threshold"] = float(match[3])
    return assertion


def _rendered(inputs: dict[str, Any]) -> dict[str, Any]:
    """Variables may name other variables of their case; what is no template stays as it is."""
    found = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, str) and "{{" in value:
            try:
                found[name] = render(value, {k: v for k, v in inputs.items() if k != name})
            except TemplateError:
                continue
    return found


def _number(text: str, node: Node) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise node.refuse(f"{text!r} is no number") from error
