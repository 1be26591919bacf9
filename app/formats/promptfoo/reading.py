"""promptfoo's config as prompts, a dataset, a suite and endpoints."""

import re
from typing import Any

from app.formats.building import Builder
from app.formats.chat import content_of
from app.formats.naming import checked, name_of
from app.formats.nodes import Node
from app.formats.promptfoo.asserts import scorers
from app.formats.promptfoo.cases import Case, CaseReader
from app.formats.promptfoo.prompts import Prompt, prompts
from app.formats.providers import endpoint_of
from app.formats.sources import Sources
from app.kit.errors import InvalidContentError

CONFIG_NAMES = ("promptfooconfig.yaml", "promptfooconfig.yml", "promptfooconfig.json")
_READ = frozenset(
    [
        "description",
        "prompts",
        "providers",
        "targets",
        "tests",
        "scenarios",
        "defaultTest",
        "evaluateOptions",
        "assertionTemplates",
    ]
)
_SILENT = frozenset({"$schema", "outputPath", "sharing", "writeLatestResults"})


def read_promptfoo(sources: Sources, builder: Builder) -> None:
    """Reads each `promptfooconfig.*`, or the one file that looks like it, with the files that it names."""
    for config in _configs(sources):
        _Reader(sources, builder, config).read()
    for path in sources.paths:
        if path not in sources.read:
            builder.lose(path, None, "no config names this file; it is not read")


def _configs(sources: Sources) -> list[Node]:
    named = [path for path in sources.paths if path.rpartition("/")[2] in CONFIG_NAMES]
    if named:
        return [Node.of_file(sources, path).mapping("a promptfoo config") for path in named]
    structured = [path for path in sources.paths if path.lower().endswith((".yaml", ".yml", ".json"))]
    found = [node for path in structured if "prompts" in ((node := Node.of_file(sources, path)).data or ())]
    if not found:
        raise InvalidContentError("there is no promptfooconfig.yaml, and no other YAML or JSON file has `prompts`")
    return found


class _Reader:
    def __init__(self, sources: Sources, builder: Builder, config: Node) -> None:
        self._sources, self._builder, self._config = sources, builder, config
        folder = config.path.rpartition("/")[0]
        description = config.get("description").optional_text("`description`")
        self._description = description.strip()
        words = "-".join(self._description.split()[:6])[:60].lower()
        stem = config.path.rpartition("/")[2].partition(".")[0]
        self._name = name_of(folder or words or ("promptfoo" if stem == "promptfooconfig" else stem))

    def read(self) -> None:
        found = list(prompts(self._config.get("prompts"), self._sources, self._builder))
        rendered = all(prompt.is_text for prompt in found)
        cases = CaseReader(self._sources, self._builder, self._config, rendered=rendered).read()
        for prompt in found:
            self._prompt(prompt, cases, len(found))
        endpoints = self._endpoints()
        self._report()
        if not cases:
            self._builder.lose(self._config.path, None, "there are no tests, so that no dataset and no suite is made")
            return
        name = self._builder.free("dataset", self._name)
        entries = scorers(cases, self._sources, self._builder, self._config.get("assertionTemplates"))
        self._builder.dataset(
            name, [_item(number, case) for number, case in enumerate(cases, start=1)], self._config.path
        )
        if not entries:
            what = "no assertion could be kept, so that no suite is made; write one with scorers of your own"
            self._builder.lose(self._config.path, None, what)
            return
        suite: dict[str, Any] = {"description": self._description} if self._description else {}
        suite |= {"dataset": name}
        if endpoints:
            suite["endpoints"] = endpoints
        if repeats := self._repeats():
            suite["repeats"] = repeats
        self._builder.suite(name, {**suite, "scorers": entries}, self._config.path)

    def _prompt(self, prompt: Prompt, cases: list[Case], count: int) -> None:
        variables = {name: _schema(name, cases) for name in sorted(prompt.chat.names)}
        for name in variables:
            if any(isinstance(case.inputs.get(name), bool | list | dict) for case in cases):
                what = f"the variable {name!r} is no text in some cases; shown as a whole it looks otherwise here"
                self._builder.lose(prompt.node.path, prompt.node.line, what)
        text = "\n".join(message.get("content", "") for message in prompt.chat.messages)
        for name in [name for name, schema in variables.items() if "default" in schema]:
            instead = _fallback(name, text)
            if instead is None:
                what = f"the prompt asks whether the variable {name!r} is given; here a case that lacks it gives an empty text"
                self._builder.lose(prompt.node.path, prompt.node.line, what)
            variables[name]["default"] = instead or ""
        wanted = checked(prompt.name, prompt.node.path, prompt.node.line) or self._name
        if not prompt.name and count > 1:
            wanted = f"{self._name}/prompt"
        content = content_of(prompt.chat, variables)
        self._builder.prompt(wanted, content, prompt.node.path, prompt.node.line)

    def _endpoints(self) -> list[str]:
        field = "targets" if self._config.get("targets").data is not None else "providers"
        names: list[str] = []
        nodes = self._config.get(field).one_or_more()
        for node in (inner for each in nodes for inner in self._in_file(each)):
            name = self._endpoint(node)
            if name is not None and name not in names:
                names.append(name)
        return names

    def _in_file(self, node: Node) -> list[Node]:
        if isinstance(node.data, str) and re.fullmatch(r"file://.*\.(ya?ml|json)", node.data):
            paths = self._sources.resolve(node.data, node.path, node.line)
            return [inner for path in paths for inner in Node.of_file(self._sources, path).one_or_more()]
        return [node]

    def _endpoint(self, node: Node) -> str | None:
        if isinstance(node.data, str):
            return endpoint_of(self._builder, node.data, node)
        fields = dict(node.mapping("a provider").fields())
        if "id" not in fields and len(fields) == 1:  # {<id>: {config}}
            ((model, inner),) = fields.items()
            fields = {"id": Node(model, inner.path, inner.document, inner.pointer), **dict(inner.fields())}
        for key, field in fields.items():
            if key not in ("id", "label", "config"):
                self._builder.lose(field.path, field.line, f"`{key}` of a provider is not kept")
        if "id" not in fields:
            raise node.refuse("a provider needs an `id`, such as openai:gpt-5-mini")
        label = fields["label"].optional_text("a label") if "label" in fields else ""
        return endpoint_of(self._builder, fields["id"].text("a provider's id"), node, label, fields.get("config"))

    def _repeats(self) -> int:
        repeat = self._config.get("evaluateOptions").get("repeat")
        number = repeat.number("`repeat`") or 1
        if number != int(number) or not 1 <= number <= 100:
            raise repeat.refuse("`repeat` is a whole number from 1 to 100")
        return int(number) if number > 1 else 0

    def _report(self) -> None:
        for key, field in self._config.fields():
            if key not in _READ and key not in _SILENT and field.data not in (None, {}, []):
                self._builder.lose(field.path, field.line, f"`{key}` of the config is not kept")
        for key, field in self._config.get("evaluateOptions").fields():
            if key != "repeat":
                self._builder.lose(field.path, field.line, f"`{key}` of evaluateOptions is not kept")


def _schema(name: str, cases: list[Case]) -> dict[str, Any]:
    """A text, where every case has one; promptfoo shows a variable that a case lacks as nothing."""
    values = [case.inputs[name] for case in cases if name in case.inputs]
    schema: dict[str, Any] = {"type": "string"} if all(isinstance(value, str) for value in values) else {}
    return schema if len(values) == len(cases) else {**schema, "default": ""}


def _fallback(name: str, text: str) -> str | None:
    """What a template says instead of a variable that is not given; None where that is not one and the same text."""
    tags = " ".join(re.findall(r"\{[{%].*?[}%]\}", text, re.DOTALL))
    literals = re.findall(rf"\b{name}\s*\|\s*default\(\s*(\"[^\"\\]*\"|'[^'\\]*')", tags)
    if not literals and not re.search(rf"\b{name}\s+is\s+(not\s+)?(un)?defined\b", tags):
        return ""
    everywhere = len(re.findall(rf"\b{name}\b", tags)) == len(literals)
    return str(literals[0][1:-1]) if everywhere and len(set(literals)) == 1 else None


def _item(number: int, case: Case) -> dict[str, Any]:
    optional = {"reference": case.reference, "tags": case.tags, "metadata": case.metadata}
    kept = {key: value for key, value in optional.items() if value not in (None, [], {})}
    return {"id": str(number), "inputs": case.inputs, **kept}
