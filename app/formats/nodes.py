"""A value of a file together with its place, so that everything said about it names file and line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.formats.sources import Sources, refused
from app.kit.documents import Document
from app.kit.errors import InvalidContentError
from app.kit.pointers import escape


@dataclass(frozen=True)
class Node:
    """`data` at `pointer` of the document of `path`; a missing field is a node whose data is None."""

    data: Any
    path: str
    document: Document
    pointer: str = ""

    @classmethod
    def of_file(cls, sources: Sources, path: str) -> "Node":
        document = sources.document(path)
        return cls(document.data, path, document)

    @classmethod
    def at_line(cls, data: Any, path: str, line: int) -> "Node":
        """A value of a file that is read line by line."""
        return cls(data, path, Document(data, {"": line}))

    @property
    def line(self) -> int | None:
        return self.document.line(self.pointer)

    def refuse(self, what: str) -> InvalidContentError:
        return refused(self.path, self.line, what)

    def get(self, key: str) -> "Node":
        data = self.data.get(key) if isinstance(self.data, dict) else None
        return Node(data, self.path, self.document, f"{self.pointer}/{escape(key)}")

    def fields(self) -> Iterator[tuple[str, "Node"]]:
        for key in self.data if isinstance(self.data, dict) else ():
            yield key, self.get(key)

    def each(self) -> Iterator["Node"]:
        for index, item in enumerate(self.data if isinstance(self.data, list) else ()):
            yield Node(item, self.path, self.document, f"{self.pointer}/{index}")

    def one_or_more(self) -> list["Node"]:
        """The items of a list; a single value is a list of itself, a missing one an empty list."""
        if self.data is None:
            return []
        return list(self.each()) if isinstance(self.data, list) else [self]

    def mapping(self, what: str) -> "Node":
        """This node, when it is a mapping; `what` says what was expected."""
        if not isinstance(self.data, dict):
            raise self.refuse(f"{what} is a mapping, not {_kind(self.data)}")
        return self

    def text(self, what: str) -> str:
        """The text of this node; `what` says what was expected."""
        if not isinstance(self.data, str):
            raise self.refuse(f"{what} is a text, not {_kind(self.data)}")
        return self.data

    def optional_text(self, what: str) -> str:
        return "" if self.data is None else self.text(what)

    def number(self, what: str) -> float | int | None:
        if self.data is None:
            return None
        if isinstance(self.data, bool) or not isinstance(self.data, int | float):
            raise self.refuse(f"{what} is a number, not {_kind(self.data)}")
        return self.data


def _kind(data: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(data), "a number")
