"""YAML as plain JSON data: the core schema of YAML 1.2, bounded, with the line of every value.

Differences from PyYAML's safe loader, each because it bites: `no` and `on` are texts, dates stay texts, keys are texts and
may not come twice, tags are refused, and aliases may not blow a small file up.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from app.kit.pointers import escape

MAX_DEPTH = 64
MAX_NODES = 200_000
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# JSON writes characters past U+FFFF as two escapes, and may hold some as they are that YAML must escape.
_PAIR = re.compile(r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")
_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})


class DocumentError(ValueError):
    """A file that cannot be read; the message names line and column where there is one."""


class Document(msgspec.Struct, frozen=True):
    """What a file holds, and the 1-based line of each value by its JSON pointer."""

    data: Any
    lines: dict[str, int]

    def line(self, pointer: str) -> int | None:
        """The line of a value, or of the closest one around it."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer)


def load(text: str) -> Document:
    """The one document of a YAML (or JSON) text. Raises `DocumentError`."""
    if not text.strip():
        raise DocumentError("the file is empty")
    try:
        builder = _Builder()
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}{error.problem or error.context or 'not YAML'}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise DocumentError(f"line {line}: the character U+{code:04X} is not allowed") from error
    if not builder.documents:
        raise DocumentError("the file holds nothing but comments")
    return Document(builder.documents[0], builder.lines)


def load_json(text: str) -> Document:
    """A JSON text, read as strictly as JSON and then like YAML: bounded, with lines, no key twice. Raises `DocumentError`."""
    if not text.strip():
        raise DocumentError("the file is empty")
    try:
        msgspec.json.decode(text.encode(errors="surrogatepass"), type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        line = text.encode(errors="surrogatepass").count(b"\n", 0, int(at[1])) + 1 if at else 1
        raise DocumentError(f"line {line}: not JSON: {error}") from error
    return load(_UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", _PAIR.sub(_joined, text)))


def dump(data: Any) -> str:
    """Plain JSON data as YAML that `load` reads back as the same, long texts as blocks."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # what comes twice is written twice
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text and not _BREAKS.search(text):
        style = "|"
    elif text == "<<" or _BREAKS.search(text) or not isinstance(_plain(text), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _joined(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return match[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _events(text: str) -> Iterator[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.parse(text, Loader=loader)


class _Open:
    """A mapping or list that is not closed yet. In a mapping `key` is the key whose value comes next."""

    def __init__(self, value: Any, pointer: str, anchor: str | None, line: int) -> None:
        self.value, self.pointer, self.anchor, self.line = value, pointer, anchor, line
        self.key: str | None = None
        self.seen: dict[str, int] = {}
        self.merging = False
        self.merged: list[dict[str, Any]] = []
        self.size = 1


class _Builder:
    """Builds data from the parser's events with a stack of its own, so that no nesting reaches Python's."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self.lines: dict[str, int] = {}
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent) and self.documents:
            raise _refused(event, "a second document begins; one file holds one")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    def _scalar(self, event: Any) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(parent, event)
            return
        self._add(event, _value(event), 1)

    def _key(self, parent: _Open, event: Any) -> None:
        key, line = str(event.value), event.start_mark.line + 1
        if key in parent.seen:
            raise _refused(event, f"the key {key!r} stands at line {parent.seen[key]} already")
        parent.seen[key] = line
        parent.key = key
        parent.merging = key == "<<" and event.implicit[0]  # in quotes it is a key like any other

    def _start(self, event: Any) -> None:
        if event.tag is not None and not event.implicit:
            raise _refused(event, f"the tag {event.tag!r} is not allowed")
        if len(self._open) >= MAX_DEPTH:
            raise _refused(event, f"nested deeper than {MAX_DEPTH} levels")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            raise _refused(event, "a key is a text, not a list or a mapping")
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._pointer(), event.anchor, event.start_mark.line + 1))
        self._anchors.pop(event.anchor, None)

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        for mapping in done.merged:
            for key, value in mapping.items():
                done.value.setdefault(key, value)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, done.size)
        self._add(event, done.value, done.size, done.line)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise _refused(event, f"*{event.anchor} refers to itself, or to nothing above it")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            raise _refused(event, "an alias cannot be a key")
        self._add(event, *self._anchors[event.anchor])

    def _add(self, event: Any, value: Any, size: int, line: int | None = None) -> None:
        if isinstance(event, yaml.AliasEvent) or size == 1:
            self._nodes += size
            if self._nodes > MAX_NODES:
                raise _refused(event, f"more than {MAX_NODES:,} values, aliases counted in full")
        pointer = self._pointer()
        self.lines[pointer] = line or event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
            self._anchors[event.anchor] = (value, size)
        if not self._open:
            self.documents.append(value)
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.merging:
            self._merge(event, parent, value)
            parent.key = None
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _merge(self, event: Any, parent: _Open, value: Any) -> None:
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise _refused(event, "`<<` takes in mappings, such as *defaults")
        parent.merged += mappings

    def _pointer(self) -> str:
        if not self._open:
            return ""
        parent = self._open[-1]
        part = str(len(parent.value)) if isinstance(parent.value, list) else escape(parent.key or "")
        return f"{parent.pointer}/{part}"


def _value(event: Any) -> Any:
    text: str = event.value
    if event.tag is not None:
        if event.tag not in _TEXT_TAGS:
            raise _refused(event, f"the tag {event.tag!r} is not allowed")
        return text
    if not event.implicit[0]:
        return text
    return _plain(text)


def _plain(text: str) -> Any:
    """What an unquoted text stands for."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _refused(event: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
