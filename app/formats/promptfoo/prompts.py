"""promptfoo's prompts: texts, chats, and the files that hold them."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.formats.building import Builder
from app.formats.chat import CannotKeepError, Chat, chat, jinja, left_out
from app.formats.foreign import Foreign, in_tags
from app.formats.naming import name_of_path
from app.formats.nodes import Node
from app.formats.sources import Sources, parsed
from app.kit.errors import InvalidContentError

_CHAT_START = re.compile(r"\s*(\[\s*\{|- +(role|content|\{))")
_DUMP = re.compile(r"(\|\s*)dump\b(?!\s*\()")
_TEXT_FILES = (".txt", ".md", ".j2")
_STRUCTURED = (".json", ".yaml", ".yml")


class Prompt(NamedTuple):
    """A prompt, what to call it ("" when it has no name of its own), and where it stands."""

    name: str
    chat: Chat
    node: Node
    is_text: bool = False


def prompts(node: Node, sources: Sources, builder: Builder) -> Iterator[Prompt]:
    """The prompts of a config; what cannot be kept is a loss that says that the prompt is left out."""
    reader = _Reader(sources, builder)
    if isinstance(node.data, dict):  # an older form: path to label
        for path, label in node.fields():
            yield from reader.reference(label, path, label.optional_text("a label"))
        return
    for entry in node.one_or_more():
        yield from reader.entry(entry)


class _Reader:
    def __init__(self, sources: Sources, builder: Builder) -> None:
        self._sources, self._builder = sources, builder
        self._reading: list[str] = []

    def entry(self, node: Node) -> Iterator[Prompt]:
        if isinstance(node.data, str):
            yield from self.reference(node, node.data, "")
            return
        label = node.mapping("a prompt").get("label").optional_text("a label")
        raw = node.get("raw")
        for key, field in node.fields():
            if key not in ("id", "label", "raw"):
                self._builder.lose(field.path, field.line, f"`{key}` of a prompt is not kept")
        if raw.data is not None:
            yield from self._kept(label or node.get("id").optional_text("an id"), raw.text("a prompt's `raw`"), raw)
        else:
            yield from self.reference(node.get("id"), node.get("id").text("a prompt's `raw` or `id`"), label)

    def reference(self, node: Node, text: str, label: str) -> Iterator[Prompt]:
        """A text that stands for itself or names files."""
        if re.match(r"(exec|python|langfuse|helicone|portkey|huggingface|https?)://?|(exec|python):", text):
            self._builder.lose(node.path, node.line, f"the prompt {text!r} is made by code or fetched; it is left out")
            return
        local = "\n" not in text and len(text) < 300 and "{{" not in text
        named = text.startswith("file://") or (
            local and text.lower().endswith((*_TEXT_FILES, *_STRUCTURED, ".jsonl", ".csv"))
        )
        code = re.search(r"\.(c?js|mjs|ts|py|sh|rb|go)(:\w+)?$", text) if local else None
        if code:
            self._builder.lose(node.path, node.line, f"the prompt {text!r} is code, which is never run; it is left out")
        elif named:
            for path in self._sources.resolve(text, node.path, node.line):
                yield from self._file(path, label, node)
        else:
            yield from self._kept(label, text, node)

    def _file(self, path: str, label: str, node: Node) -> Iterator[Prompt]:
        lower, name = path.lower(), label or name_of_path(path)
        if lower.endswith(".txt"):
            for first, text in _parts(self._sources.text(path)):
                yield from self._kept(name, text, Node.at_line(text, path, first))
        elif lower.endswith(_TEXT_FILES):
            yield from self._kept(name, self._sources.text(path), Node.at_line(None, path, 1))
        elif lower.endswith(".jsonl"):
            for number, data in self._sources.json_lines(path):
                yield from self._chat(name, Node.at_line(data, path, number))
        elif lower.endswith(_STRUCTURED):
            try:
                document = Node.of_file(self._sources, path)
            except InvalidContentError as error:
                what = f"the prompt {name!r} is left out: it is no JSON or YAML before its variables are filled in"
                self._builder.lose(path, None, f"{what} ({error.detail.removeprefix(path + ': ')})")
                return
            inner = document.get("messages")
            entries = document.one_or_more()
            if entries and all(isinstance(e.data, str) or _is_entry(e.data) for e in entries):
                if path in self._reading:
                    raise node.refuse(f"{path} refers to itself")
                self._reading.append(path)
                for entry in entries:
                    yield from self.entry(entry)
                self._reading.pop()
                return
            yield from self._chat(name, inner if isinstance(inner.data, list) else document)
        else:
            self._builder.lose(
                node.path, node.line, f"the prompt {path} is left out: it is no text, Markdown, JSON or YAML"
            )

    def _kept(self, name: str, text: str, node: Node) -> Iterator[Prompt]:
        if _CHAT_START.match(text):
            try:
                document = parsed(node.path, text, as_json=False)
            except InvalidContentError:
                document = None
            if document is not None and isinstance(document.data, list):
                # Its places lie within a text, so that all of them are known by the line of that text.
                yield from self._chat(name, Node.at_line(document.data, node.path, node.line or 1))
                return
        message = {"role": "user", "content": text}
        yield from self._chat(name, Node.at_line([message], node.path, node.line or 1), is_text=True)

    def _chat(self, name: str, node: Node, *, is_text: bool = False) -> Iterator[Prompt]:
        shown = name or "without a label"
        try:
            yield Prompt(name, chat(node.each(), _nunjucks, self._builder), node, is_text)
        except CannotKeepError as error:
            left_out(self._builder, node.path, node.line, shown, error)


def _is_entry(data: Any) -> bool:
    return isinstance(data, dict) and ("raw" in data or "id" in data)


def _nunjucks(text: str) -> Foreign:
    return jinja(in_tags(_DUMP, r"\1tojson", text))


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """The prompts of a text file, parted by lines of `---`, each with its first line."""
    start, lines = 1, re.split(r"\r?\n", text)
    for number, line in enumerate([*lines, "---"], start=1):
        if line.strip() == "---":
            part = "\n".join(lines[start - 1 : number - 1])
            if part.strip():
                leading = len(part) - len(part.lstrip())
                yield start + part.count("\n", 0, leading), part.strip()
            start = number + 1
