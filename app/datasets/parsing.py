"""Files of items: JSONL, CSV and Parquet, each refused with its line (or row) and field, and what to do.

A CSV column or Parquet field is called `id`, `reference`, `tags` (separated by `;`), `cluster`, `inputs.<name>`,
`metadata.<name>` or, for short, the name of an input. In CSV every value is text; an empty cell is left out.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from app.datasets.schemas import ItemBody, ItemCreate
from app.kit.digests import digest, normalised
from app.kit.errors import FieldError, InvalidContentError, UnsupportedMediaError
from app.kit.problems import field_error
from app.registry.contents import escape, plain, unrepresentable

MAX_PROBLEMS = 20
MAX_LINE = 8 * 1024 * 1024
MAX_COLUMNS = 2_000
OWN_COLUMNS = ("id", "reference", "tags", "cluster")


class Parsed(NamedTuple):
    """A checked item: its id, the digest of its body, the body's plain data, and its tags."""

    id: str
    digest: str
    body: dict[str, Any]
    tags: list[str]


class Place(NamedTuple):
    """Where an item stands in what was sent: a JSON pointer, and the same in words (`line 7`)."""

    pointer: str
    words: str


def parse(data: bytes, media_type: str) -> list[Parsed]:
    """The items of a file. Raises `InvalidContentError` naming every bad place (the first 20), and changes nothing."""
    if not data:
        raise InvalidContentError("the file has 0 bytes; a dataset needs at least one item")
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in READERS:
        raise UnsupportedMediaError(f"{kind or 'no media type'}: send {', '.join(READERS)}, or application/json with {{content: {{items: […]}}}}")
    return checked(READERS[kind](data))


def checked(items: Iterable[tuple[Place, Any]]) -> list[Parsed]:
    """Raw items with their places, as checked ones. Refuses an empty list, a bad field and an id that comes twice."""
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
                problems.append(FieldError(f"{place.pointer}/id", f"{place.words}: the id {item.id!r} stands at {first.words} already"))
            places.setdefault(item.id, place)
            found.append(item)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise _several(problems)
    if not found:
        raise InvalidContentError.at("/items", "a dataset needs at least one item")
    return found


def from_json(items: Sequence[msgspec.Raw], pointer: str = "/content/items") -> Iterator[tuple[Place, Any]]:
    """Items of a JSON body."""
    for index, raw in enumerate(items):
        yield Place(f"{pointer}/{index}", f"item {index}"), msgspec.json.decode(raw)


def _item(place: Place, raw: Any) -> Parsed:
    if isinstance(raw, InvalidContentError):
        raise raw
    if problem := next(iter(unrepresentable(raw, place.pointer)), None):
        raise _several([FieldError(problem.pointer, f"{place.words}: {problem.detail}")])
    try:
        sent = msgspec.convert(raw, ItemCreate)
    except msgspec.ValidationError as error:
        field = field_error(error, place.pointer)
        raise _several([FieldError(field.pointer, f"{place.words}: {field.detail}")]) from error
    given = {name: getattr(sent, name) for name in ItemBody.__struct_fields__}
    body = normalised(plain(ItemBody(**given)))
    own = digest(body)
    return Parsed(sent.id or own.partition(":")[2][:16], own, body, sent.tags)


def _jsonl(data: bytes) -> Iterator[tuple[Place, Any]]:
    decode = msgspec.json.Decoder().decode
    text_of = _utf8(data)
    del text_of
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        place = Place(f"/{number}", f"line {number}")
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield place, _problem(place, f"has {len(line):,} bytes; at most {MAX_LINE:,} are read")
            continue
        try:
            yield place, decode(line)
        except msgspec.DecodeError as error:
            yield place, _problem(place, f"is not JSON: {error}")


def _csv(data: bytes) -> Iterator[tuple[Place, Any]]:
    text = _utf8(data)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        columns = _columns(header, "line 1")
        for row in reader:
            place = Place(f"/{reader.line_num}", f"line {reader.line_num}")
            if not row:
                continue
            if len(row) != len(header):
                yield place, _problem(place, f"has {len(row)} fields, and the header has {len(header)}; quote fields that hold commas or line breaks")
                continue
            yield place, _from_columns({name: value for name, value in zip(columns, row, strict=True) if value != ""})
    except csv.Error as error:
        place = Place(f"/{reader.line_num}", f"line {reader.line_num}")
        yield place, _problem(place, f"is not CSV: {error}")


def _parquet(data: bytes) -> Iterator[tuple[Place, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        columns = _columns(list(file.schema_arrow.names), "the schema")
        number = 0
        for batch in file.iter_batches(batch_size=1_000):
            for row in batch.to_pylist():
                place = Place(f"/{number}", f"row {number}")
                values = {name: row[name] for name in columns if row[name] is not None}
                yield place, _from_columns(values)
                number += 1
    except pyarrow.ArrowException as error:
        raise InvalidContentError(f"this is not Parquet: {' '.join(str(error).split())[:300]}") from error


READERS: dict[str, Callable[[bytes], Iterator[tuple[Place, Any]]]] = {
    "application/x-ndjson": _jsonl,
    "application/jsonl": _jsonl,
    "text/csv": _csv,
    "application/vnd.apache.parquet": _parquet,
}


def _columns(header: Sequence[str], place: str) -> list[str]:
    if not header or not any(name.strip() for name in header):
        raise InvalidContentError(f"{place}: there is no header; name the columns id, reference, tags, or as your prompt's variables")
    if len(header) > MAX_COLUMNS:
        raise InvalidContentError(f"{place}: {len(header):,} columns; at most {MAX_COLUMNS:,} are read")
    names = [name.strip() for name in header]
    for index, name in enumerate(names):
        if not name:
            raise InvalidContentError(f"{place}: column {index + 1} has no name")
        if name in names[:index]:
            raise InvalidContentError(f"{place}: two columns are called {name!r}")
    return names


def _from_columns(values: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {"inputs": {}}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if name == "tags":
            item["tags"] = [tag.strip() for tag in value.split(";") if tag.strip()] if isinstance(value, str) else value
        elif name in OWN_COLUMNS:
            item[name] = value
        elif name in ("inputs", "metadata", "history", "recorded") and isinstance(value, dict | list):
            item[name] = value  # a nested Parquet column
        elif dot and head in ("inputs", "metadata"):
            item.setdefault(head, {})[rest] = value
        else:
            item["inputs"][name] = value
    return item


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidContentError.at(f"/{line}", f"line {line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _problem(place: Place, words: str) -> InvalidContentError:
    return _several([FieldError(place.pointer, f"{place.words} {words}")])


def _several(problems: list[FieldError]) -> InvalidContentError:
    return InvalidContentError("; ".join(problem.detail for problem in problems[:3]), problems)


def schema_problems(schema: dict[str, Any], items: Sequence[Parsed]) -> Iterator[FieldError]:
    """Where `inputs` do not follow the dataset's JSON Schema, the first 20; `InvalidContentError` when it is no schema."""
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(schema, registry=jsonschema_rs.Registry([]))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidContentError.at("/content/schema", f"this is no JSON Schema: {error}") from error
    count = 0
    for item in items:
        for problem in validator.iter_errors(item.body.get("inputs", {})):
            where = "".join(f"/{escape(str(part))}" for part in problem.instance_path)
            yield FieldError(f"/inputs{where}", f"item {item.id!r}: {problem.message}")
            count += 1
            if count >= MAX_PROBLEMS:
                return
