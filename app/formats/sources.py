"""Reading what a user sent: bounded, UTF-8, and nothing but what was sent. Every refusal names file and line."""

import json
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from app.kit.documents import Document, DocumentError, load, load_json
from app.kit.errors import FieldError, InvalidContentError

MAX_FILES = 2_000
MAX_BYTES = 16 * 1024 * 1024
_LINE_AHEAD = re.compile(r"(?:the file: )?line (\d+)(?:, column \d+)?: ")


def refused(path: str, line: int | None, what: str) -> InvalidContentError:
    """The error of one place in a file."""
    detail = f"line {line}: {what}" if line else what
    return InvalidContentError(f"{path}: {detail}", [FieldError(path, detail)])


def hidden_character(text: str) -> str | None:
    """The first character that is not to be seen or that turns the writing round, as `U+202E`; or None."""
    found = next((c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")), None)
    return None if found is None else f"U+{ord(found):04X}"


class Sources:
    """The files of one import. A file may name others of them, never anything else."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Raises `InvalidContentError` for too many files, too many bytes, and paths that lead elsewhere."""
        if not files:
            raise InvalidContentError("there is no file to read")
        if len(files) > MAX_FILES:
            raise InvalidContentError(f"{len(files):,} files; at most {MAX_FILES:,} are read at once")
        if (size := sum(map(len, files.values()))) > MAX_BYTES:
            raise InvalidContentError(f"{size:,} bytes; at most {MAX_BYTES:,} are read at once")
        for path in files:
            if hidden := hidden_character(path):
                raise refused(ascii(path), None, f"the path holds the hidden character {hidden}; rename the file")
            if "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
                raise refused(path, None, "a path is relative, with / between its parts and without . or ..")
        self._files = dict(files)
        self.read: set[str] = set()

    @property
    def paths(self) -> list[str]:
        return sorted(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def text(self, path: str) -> str:
        """A file's text without its byte order mark."""
        self.read.add(path)
        data = self._files[path]
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise refused(path, line, f"byte {error.start} is not UTF-8; save the file as UTF-8") from error
        if (at := text.find("\x00")) >= 0:
            raise refused(path, text.count("\n", 0, at) + 1, "a NUL character cannot be stored")
        return text

    def document(self, path: str) -> Document:
        """A JSON or YAML file as data with lines."""
        return parsed(path, self.text(path), as_json=path.lower().endswith(".json"))

    def json_lines(self, path: str) -> Iterator[tuple[int, Any]]:
        """Each line's number and value."""
        for number, line in enumerate(self.text(path).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line, object_pairs_hook=_without_twins, parse_constant=_no_constant)
            except (ValueError, RecursionError) as error:
                what = "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
                raise refused(path, number, what) from error

    def resolve(self, reference: str, base: str, line: int | None) -> list[str]:
        """The files that `file://…` (a path or a pattern, from the folder of `base`) names, in the order of their names.

        Raises `InvalidContentError` for a path that leaves the files that were sent, and for one that is not among them.
        """
        wanted = reference.removeprefix("file://")
        if (
            hidden_character(wanted)
            or wanted.startswith(("/", "~"))
            or "\\" in wanted
            or re.match(r"[A-Za-z]:", wanted)
        ):
            raise refused(base, line, f"{reference!r} is refused: a file is named from the folder of {base}")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(base), wanted))
        if path == ".." or path.startswith("../"):
            raise refused(base, line, f"{reference!r} leads out of the folder; only files that were sent are read")
        if path in self._files:
            return [path]
        inside = [p for p in self.paths if fnmatchcase(p, path) or p.startswith(f"{path}/")]
        if not inside:
            raise refused(base, line, f"{reference!r} was not sent; add the file {path}")
        return inside


def parsed(path: str, text: str, *, as_json: bool, first_line: int = 1) -> Document:
    """A JSON or YAML text as data with lines; `first_line` is where it begins in its file."""
    try:
        document = load_json(text) if as_json else load(text)
    except DocumentError as error:
        message = str(error)
        at = _LINE_AHEAD.match(message)
        line = int(at[1]) + first_line - 1 if at else None
        raise refused(path, line, message[at.end() :] if at else message) from error
    if first_line == 1:
        return document
    return Document(document.data, {pointer: line + first_line - 1 for pointer, line in document.lines.items()})


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"the key {twin!r} comes twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
