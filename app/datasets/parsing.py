"""Files of items: JSON lines, CSV and Parquet, each refused with its line (or row) and field, and what to do.

A CSV or Parquet column is called `id`, `reference`, `tags` (words separated by `;`), `cluster`, `inputs.<name>`,
`metadata.<name>`, `recorded.<model>` (the text it answered) or, for short, as the input it holds. In CSV every value is
text and an empty cell is left out. A Parquet column may also be nested: `inputs`, `metadata`, `history`, `recorded`.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from app.datasets.schemas import ItemBody, ItemCreate
from app.kit.digests import DIGEST_PREFIX, canonical, normalised
from app.kit.errors import FieldError, InvalidContentError, UnsupportedMediaError
from app.kit.pointers import escape
from app.kit.problems import field_error
from app.registry.contents import plain, unrepresentable

MAX_PROBLEMS = 20
MAX_LINE = 8 * 1024 * 1024
MAX_COLUMNS = 2_000
OWN_COLUMNS = ("id", "reference", "cluster")
NESTED_COLUMNS = ("inputs", "metadata", "history", "recorded")
BOM = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """Where an item stands in what was sent: a JSON pointer, and the same in words (`line 7`)."""

    pointer: str
    words: str


class Parsed(NamedTuple):
    """A checked item: where it stood, its id, the canonical bytes of the rest of it with their digest, and its tags."""

    place: Place
    id: str
    digest: str
    body: bytes
    tags: list[str]


Raws = Iterator[tuple[Place, Any]]
"""Items as they were read, each with its place; an `InvalidContentError` in place of one that cannot be read."""


def parse(data: bytes, media_type: str) -> list[Parsed]:
    """The items of a file. Raises `InvalidContentError` naming every bad place (the first 20)."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in READERS:
        raise UnsupportedMediaError(
            f"{kind or 'no media type'}: send {', '.join(READERS)}, or application/json with {{content: {{items: […]}}}}"
        )
    if not data:
        raise InvalidContentError.at("", "there are 0 bytes; a dataset needs at least one item")
    return checked(READERS[kind](data))


def checked(items: Iterable[tuple[Place, Any]], empty: str = "") -> list[Parsed]:
    """Raw items as checked ones. Refuses an empty list (at the pointer `empty`), a bad field and an id that comes twice."""
    found: list[Parsed] = []
    places: dict[str, Place] = {}
    problems: list[FieldError] = []
    for place, raw in items:
        try:
            item = _item(place, raw)
        except InvalidContentError as error:
            problems += error.errors
        else:
            if (first := places.get(item.id)) is not None:
                detail = (
                    f"{place.words}: the id {item.id!r} stands at {first.words} already; ids are unique in a dataset"
                )
                problems.append(FieldError(f"{place.pointer}/id", detail))
            places.setdefault(item.id, place)
            found.append(item)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise several(problems)
    if not found:
        raise InvalidContentError.at(empty, "there are no items; a dataset needs at least one")
    return found


def from_json(items: Sequence[msgspec.Raw], pointer: str = "/content/items") -> Raws:
    """Items of a JSON body."""
    for index, raw in enumerate(items):
        place = Place(f"{pointer}/{index}", f"item {index + 1}")
        try:
            yield place, msgspec.json.decode(raw)
        except RecursionError as error:
            yield place, _problem(place, f"{error}")


def several(problems: Sequence[FieldError]) -> InvalidContentError:
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return InvalidContentError("; ".join(problem.detail for problem in problems[:3]) + more, problems)


def schema_problems(schema: dict[str, Any], items: Iterable[Parsed]) -> Iterator[FieldError]:
    """Where `inputs` do not follow the dataset's JSON Schema; `evaluators.jsonschemas.SchemaError` when it is none."""
    from evaluators.jsonschemas import compile_schema

    validator = compile_schema(schema)
    for item in items:
        for problem in validator.iter_errors(msgspec.json.decode(item.body)["inputs"]):
            where = "".join(f"/{escape(str(part))}" for part in problem.instance_path)
            yield FieldError(f"{item.place.pointer}/inputs{where}", f"{item.place.words}: {problem.message}")


def _item(place: Place, raw: Any) -> Parsed:
    if isinstance(raw, InvalidContentError):
        raise raw
    if problem := next(iter(unrepresentable(raw, place.pointer)), None):
        raise _problem(place, problem.detail, problem.pointer)
    try:
        sent = msgspec.convert(raw, ItemCreate)
    except msgspec.ValidationError as error:
        field = field_error(error, place.pointer)
        inner = field.pointer.removeprefix(place.pointer).lstrip("/")
        own = "unknown field" in field.detail and "/" not in inner
        hint = "; an item's own values go under `inputs`" if own else ""
        raise _problem(place, f"{inner}: {field.detail}{hint}" if inner else field.detail, field.pointer) from error
    for number, message in enumerate(sent.history):
        if not isinstance(message.get("role"), str):
            raise _problem(
                place, f"message {number + 1} of the history has no role", f"{place.pointer}/history/{number}"
            )
    given = {field: getattr(sent, field) for field in ItemBody.__struct_fields__}
    given["cluster"] = None if sent.cluster is None else str(sent.cluster)
    body = canonical(normalised(plain(ItemBody(**given))))
    digest = DIGEST_PREFIX + hashlib.sha256(body).hexdigest()
    return Parsed(place, digest if sent.id is None else str(sent.id), digest, body, sent.tags)


def _jsonl(data: bytes) -> Raws:
    _utf8(data)
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(data.removeprefix(BOM).split(b"\n"), start=1):
        place = Place(f"/{number}", f"line {number}")
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield place, _problem(place, f"{len(line):,} bytes; at most {MAX_LINE:,} are read of one line")
            continue
        try:
            yield place, decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            yield place, _problem(place, f"not JSON: {error}")


def _csv(data: bytes) -> Raws:
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(io.StringIO(_utf8(data), newline=""), strict=True)
    place = Place("/1", "line 1")
    try:
        header = next(reader, [])
        columns = _columns(header, place)
        before = reader.line_num
        for row in reader:
            place, before = Place(f"/{before + 1}", f"line {before + 1}"), reader.line_num
            if not row:
                continue
            if len(row) != len(header):
                detail = f"{len(row)} fields, and the header has {len(header)}; quote fields with commas or line breaks"
                yield place, _problem(place, detail)
                continue
            yield place, _from_columns({name: value for name, value in zip(columns, row, strict=True) if value != ""})
    except csv.Error as error:
        place = Place(f"/{reader.line_num}", f"line {reader.line_num}")
        yield place, _problem(place, f"not CSV: {error}")


def _parquet(data: bytes) -> Raws:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        columns = _columns(list(file.schema_arrow.names), Place("", "the schema"))
        for batch in file.iter_batches(batch_size=1_000):
            for row in batch.to_pylist():
                number += 1
                place = Place(f"/{number}", f"row {number}")
                try:
                    yield place, _from_columns({n: _json(row[n], n, place) for n in columns if row[n] is not None})
                except InvalidContentError as error:
                    yield place, error
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidContentError.at("", f"not Parquet: {' '.join(str(error).split())[:300]}") from error


READERS: dict[str, Callable[[bytes], Raws]] = {
    "application/x-ndjson": _jsonl,
    "application/jsonl": _jsonl,
    "text/csv": _csv,
    "application/vnd.apache.parquet": _parquet,
}


def _columns(header: Sequence[str], place: Place) -> list[str]:
    if len(header) > MAX_COLUMNS:
        raise _problem(place, f"{len(header):,} columns; at most {MAX_COLUMNS:,} are read")
    names = [name.strip() for name in header]
    if not any(names):
        raise _problem(place, "there is no header; name the columns id, reference, tags, or as your prompt's variables")
    for index, name in enumerate(names):
        if not name:
            raise _problem(place, f"column {index + 1} has no name")
        if name in names[:index]:
            raise _problem(place, f"two columns are called {name!r}")
    return names


def _from_columns(values: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {"inputs": {}}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if name == "tags":
            item["tags"] = [tag.strip() for tag in value.split(";") if tag.strip()] if isinstance(value, str) else value
        elif name in OWN_COLUMNS:
            item[name] = value
        elif name in NESTED_COLUMNS and isinstance(value, dict | list):
            item[name] = {**item[name], **value} if isinstance(value, dict) and name in item else value
        elif dot and head in ("inputs", "metadata"):
            item.setdefault(head, {})[rest] = value
        elif dot and head == "recorded":
            item.setdefault(head, {})[rest] = {"text": value}
        else:
            item["inputs"][name] = value
    return item


def _json(value: Any, column: str, place: Place) -> Any:
    """A Parquet value as JSON data. A struct has every field that any row has: what is null there is left out."""
    if isinstance(value, dict):
        return {key: _json(item, column, place) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_json(item, column, place) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    detail = f"column {column!r} holds {type(value).__name__}, which JSON has not; write text or numbers"
    raise _problem(place, detail, f"{place.pointer}/{escape(column)}")


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = Place(f"/{line}", f"line {line}")
        raise _problem(place, f"byte {error.start} of the file is not UTF-8; save it as UTF-8") from error


def _problem(place: Place, words: str, pointer: str | None = None) -> InvalidContentError:
    return several([FieldError(place.pointer if pointer is None else pointer, f"{place.words}: {words}")])
