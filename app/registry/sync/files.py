"""From a project's files to the artifacts that they declare, with every fault by file and place."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from app.kit.documents import Document, DocumentError, load
from app.kit.errors import FieldError, InvalidContentError
from app.kit.pointers import escape
from app.registry import environments
from app.registry.kinds import kinds
from app.registry.kinds.base import Kind, invalid
from app.registry.names import label_problem, name_problem
from app.registry.sync import project_file
from app.registry.sync.project_file import DECLARED, PROJECT_FILE, ProjectFile
from app.registry.sync.schemas import Ignored, SyncFile

CARD = ".md"
FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
STRUCTURED = (".yaml", ".yml", ".json")


class Source(msgspec.Struct, frozen=True):
    """One artifact as the files declare it.

    `pointer` is where it stands in `document`; `data` is a dataset's bytes, and `card` what its card says of it.
    """

    kind: Kind
    name: str
    path: str
    document: Document
    content: Any
    pointer: str = ""
    labels: tuple[str, ...] = ()
    data: bytes | None = None
    card: "Card | None" = None

    @property
    def key(self) -> tuple[str, str]:
        return self.kind.name, self.name

    def located(self, error: FieldError) -> FieldError:
        """An error within this artifact, as `<path>#<pointer>` and with its line."""
        pointer = self.pointer + error.pointer
        if self.card is not None and error.pointer.partition("/")[2].partition("/")[0] in self.card.says:
            return self.card.located(error)
        line = self.document.line(pointer) if self.data is None else None
        return FieldError(f"{self.path}#{pointer}", f"line {line}: {error.detail}" if line else error.detail)


class Card(msgspec.Struct, frozen=True):
    """The Markdown beside a dataset's file: its text is the description; YAML between `---` lines before it says the rest."""

    path: str
    document: Document
    says: dict[str, Any]

    def located(self, error: FieldError) -> FieldError:
        line = self.document.line(error.pointer)
        return FieldError(f"{self.path}#{error.pointer}", f"line {line}: {error.detail}" if line else error.detail)


class Project(msgspec.Struct, frozen=True):
    """All that the files declare, and every fault that was found on the way."""

    settings: ProjectFile
    document: Document
    sources: list[Source]
    ignored: list[Ignored]
    problems: list[FieldError]


def read(files: Sequence[SyncFile], data_suffixes: Mapping[str, str]) -> Project:
    """Sorts files into artifacts; `data_suffixes` are those of datasets' files. Faults are collected, not raised."""
    reader = _Reader(data_suffixes)
    reader.read(files)
    return Project(reader.settings, reader.document, reader.sources, reader.ignored, reader.problems)


class _Reader:
    def __init__(self, data_suffixes: Mapping[str, str]) -> None:
        self._data_suffixes = tuple(data_suffixes)
        self._cards: dict[str, Card] = {}
        self.settings = ProjectFile()
        self.document = Document({}, {})
        self.sources: list[Source] = []
        self.ignored: list[Ignored] = []
        self.problems: list[FieldError] = []

    def read(self, files: Sequence[SyncFile]) -> None:
        contents: dict[str, bytes] = {}
        for file in files:
            if problem := _path_problem(file.path) or ("is there twice" if file.path in contents else None):
                self.problems.append(FieldError(file.path, f"the path {file.path!r} {problem}"))
                continue
            data = _data(file)
            if data is None:
                self.problems.append(FieldError(file.path, "give the file as `text`, or as `base64` that is valid"))
                continue
            contents[file.path] = data
        if PROJECT_FILE in contents:
            self._project(contents.pop(PROJECT_FILE))
        for path, data in sorted(contents.items()):
            self._file(path, data)
        self._give_cards()
        self._refuse_twins()

    def _project(self, data: bytes) -> None:
        document = self._document(PROJECT_FILE, data)
        if document is None:
            return
        self.document = document
        try:
            settings = msgspec.convert(document.data, ProjectFile)
        except msgspec.ValidationError as error:
            found = _bad_environments(document.data) or invalid(error, known=ProjectFile).errors
            self._add(PROJECT_FILE, document, found)
            return
        if found := list(project_file.problems(settings)):
            self._add(PROJECT_FILE, document, found)
            return
        self.settings = settings
        for section, kind in DECLARED.items():
            for name, content in getattr(settings, section).items():
                pointer = f"/{section}/{escape(name)}"
                self.sources.append(Source(kinds()[kind], name, PROJECT_FILE, document, content, pointer))

    def _file(self, path: str, data: bytes) -> None:
        folder = self._folder(path)
        if folder is None:
            self.ignored.append(Ignored(path, "it lies outside the project's folders"))
            return
        below = path if folder == "." else path[len(folder) + 1 :]
        lower = below.lower()
        if kind := next((k for k in kinds().values() if below.endswith(k.suffix) and k.name != "dataset"), None):
            self._structured(kind, below.removesuffix(kind.suffix), path, data)
        elif suffix := next((s for s in self._data_suffixes if below.endswith(s)), None):
            if folder == self.settings.folders.datasets:
                self._dataset(below.removesuffix(suffix), path, data)
            else:
                self.problems.append(FieldError(path, f"a dataset's file lies in {self.settings.folders.datasets}/"))
        elif lower.endswith(CARD) and folder == self.settings.folders.datasets:
            if (text := self._text(path, data)) is not None:
                self._card(below[: -len(CARD)], path, text)
        elif lower.endswith(STRUCTURED):
            known = ", ".join(sorted(k.suffix for k in kinds().values() if k.name != "dataset"))
            self.problems.append(FieldError(path, f"this name says no kind; names end in {known}"))
        else:
            self.ignored.append(Ignored(path, "its name says no kind of artifact"))

    def _folder(self, path: str) -> str | None:
        """The deepest declared folder that a file lies in."""
        folders = {self.settings.folders.prompts, self.settings.folders.datasets}
        inside = [f for f in folders if f == "." or PurePosixPath(path).is_relative_to(f)]
        return max(inside, key=len, default=None)

    def _structured(self, kind: Kind, name: str, path: str, data: bytes) -> None:
        document = self._document(path, data)
        if not self._named(name, path) or document is None:
            return
        if not isinstance(document.data, dict):
            self._add(path, document, [FieldError("", "a mapping is expected, such as `description: …`")])
            return
        content = dict(document.data)
        labels: list[str] = []
        if "labels" not in kind.content.__struct_fields__ and "labels" in content:
            given = content.pop("labels")
            labels = [str(label) for label in given] if isinstance(given, list) else [str(given)]
            bad = [(i, problem) for i, label in enumerate(labels) if (problem := label_problem(label))]
            self._add(path, document, [FieldError(f"/labels/{index}", problem) for index, problem in bad])
            labels = [] if bad else labels
        self.sources.append(Source(kind, name, path, document, content, labels=tuple(labels)))

    def _dataset(self, name: str, path: str, data: bytes) -> None:
        if self._named(name, path):
            self.sources.append(Source(kinds()["dataset"], name, path, Document(None, {}), None, data=data))

    def _card(self, name: str, path: str, text: str) -> None:
        document, says = Document({}, {}), {}
        text = text.replace("\r\n", "\n")
        if front := FRONT_MATTER.match(text):
            text = text[front.end() :]
            try:
                # a line before it, so that lines are counted as in the file
                document = load("\n" + front[1]) if front[1].strip() else document
            except DocumentError as error:
                self.problems.append(FieldError(path, str(error)))
                return
            if not isinstance(document.data, dict):
                self.problems.append(
                    FieldError(path, "between the `---` lines a mapping is expected, such as `tags: […]`")
                )
                return
            says = dict(document.data)
            for key in set(says) & {"items", "description"}:
                self.problems.append(
                    FieldError(f"{path}#/{key}", f"{key!r} has no place here; the text below is the description")
                )
        if text.strip():
            says["description"] = text.strip()
        self._cards[name] = Card(path, document, says)

    def _named(self, name: str, path: str) -> bool:
        if problem := name_problem(name):
            self.problems.append(FieldError(path, f"the file's path makes the name {name!r}: {problem}"))
        return problem is None

    def _document(self, path: str, data: bytes) -> Document | None:
        text = self._text(path, data)
        if text is None:
            return None
        try:
            return load(text)
        except DocumentError as error:
            self.problems.append(FieldError(path, str(error)))
            return None

    def _text(self, path: str, data: bytes) -> str | None:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.problems.append(
                FieldError(path, f"line {line}: byte {error.start} is not UTF-8; save the file as UTF-8")
            )
            return None

    def _add(self, path: str, document: Document, problems: Iterable[FieldError]) -> None:
        source = Source(kinds()["prompt"], "", path, document, None)
        self.problems += [source.located(problem) for problem in problems]

    def _give_cards(self) -> None:
        for index, source in enumerate(self.sources):
            if source.data is not None and source.name in self._cards:
                self.sources[index] = msgspec.structs.replace(source, card=self._cards.pop(source.name))
        for card in self._cards.values():
            self.ignored.append(Ignored(card.path, "no dataset of this name lies beside this card"))

    def _refuse_twins(self) -> None:
        """Two files for one artifact, or for two names that a file system may take for one."""
        seen: dict[tuple[str, str], Source] = {}
        for source in self.sources:
            first = seen.setdefault((source.kind.name, source.name.lower()), source)
            if first is not source:
                what = f"the {source.kind.name} {first.name!r} is declared in {first.path} already"
                if first.name != source.name:
                    what += "; names that differ only by case are refused"
                self.problems.append(FieldError(f"{source.path}#{source.pointer}", what))


def _bad_environments(data: Any) -> list[FieldError]:
    """What is wrong in each environment of a project file, by whole pointers."""
    declared = data.get("environments") if isinstance(data, dict) else None
    found: list[FieldError] = []
    for name, rules in declared.items() if isinstance(declared, dict) else ():
        try:
            environments.parse(rules, f"/environments/{escape(name)}")
        except InvalidContentError as error:
            found += error.errors
    return found


def _path_problem(path: str) -> str | None:
    parts = path.split("/")
    if "\\" in path or "\x00" in path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "must be relative to the project's folder, with / between its parts and without . or .."
    return None


def _data(file: SyncFile) -> bytes | None:
    if (file.text is None) == (file.base64 is None):
        return None
    if file.text is not None:
        return file.text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(file.base64 or "", validate=True)
    except binascii.Error:
        return None


def several(problems: Sequence[FieldError]) -> InvalidContentError:
    """All faults of a project as one error; its sentence shows the first three."""
    shown = "; ".join(f"{p.pointer.removesuffix('#')}: {p.detail}" for p in problems[:3])
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return InvalidContentError(shown + more, problems)
