"""Files of items: JSON lines, CSV and Parquet, each refused with its line (or row) and field, and what to do."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from app.datasets.columns import Columns, NotJSON, plain_value
from app.datasets.duplicates import EXAMPLE
from app.datasets.schemas import Entry, ItemBody, ItemCreate
from app.datasets.sensitivity import MASK, masks_in
from app.datasets.texts import id_problem, not_utf8
from app.kit.digests import DIGEST_PREFIX, canonical, normalised, simple
from app.kit.errors import FieldError, InvalidContentError, UnsupportedMediaError
from app.kit.pointers import escape
from app.kit.problems import field_error
from app.kit.strictness import repeated_key
from app.registry.contents import MAX_DEPTH, plain, unrepresentable

MAX_PROBLEMS = 20
MAX_LINE = 8 * 1024 * 1024
MAX_ROWS, MAX_UNFOLDED, PARQUET_ROWS = 1_000_000, 1024 * 1024 * 1024, 200
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
    split: str

    @property
    def entry(self) -> Entry:
        return Entry(self.id, self.digest, self.tags, self.split)


Raws = Iterator[tuple[Place, Any]]
"""Items as they were read, each with its place; an `InvalidContentError` in place of one that cannot be read."""


def parse(data: bytes, media_type: str, columns: Columns = Columns()) -> list[Parsed]:  # noqa: B008 - frozen
    """The items of a file. Raises `InvalidContentError` naming every bad place (the first 20)."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in READERS:
        raise UnsupportedMediaError(
            f"{kind or 'no media type'}: send {', '.join(READERS)}, or application/json with {{content: {{items: […]}}}}"
        )
    if not data:
        raise InvalidContentError.at("", "there are 0 bytes; a dataset needs at least one item")
    return checked(READERS[kind](data, columns))


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
    quick = simple(raw)
    if not quick:
        _representable(place, raw)
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
    if isinstance(sent.id, str) and (problem := id_problem(sent.id)) is not None:
        raise _problem(place, f"id: {problem}", f"{place.pointer}/id")
    if sent.split.startswith(EXAMPLE):
        raise _problem(place, f"split: a split's name does not begin with {EXAMPLE!r}", f"{place.pointer}/split")
    given = {field: getattr(sent, field) for field in ItemBody.__struct_fields__}
    given["cluster"] = None if sent.cluster is None else str(sent.cluster)
    content = ItemBody(**given)
    if quick and not content.recorded:  # the same bytes; `recorded` makes numbers of its own
        body = msgspec.json.encode(content, order="sorted")
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH or b"\\u0000" in body:
            _representable(place, raw)
        if b"\\r" in body:
            body = canonical(normalised(plain(content)))
    else:
        body = canonical(normalised(plain(content)))
    if MASK.encode() in body and (mask := next(masks_in(msgspec.json.decode(body)), None)) is not None:
        raise _problem(place, f"{mask} is a mask, not the value: leave out what you may not see", place.pointer + mask)
    digest = DIGEST_PREFIX + hashlib.sha256(body).hexdigest()
    return Parsed(place, digest if sent.id is None else str(sent.id), digest, body, sent.tags, sent.split)


def _representable(place: Place, raw: Any) -> None:
    if problem := next(iter(unrepresentable(raw, place.pointer)), None):
        raise _problem(place, problem.detail, problem.pointer)


def _jsonl(data: bytes, columns: Columns) -> Raws:
    _utf8(data)
    if data.count(b"\n") > MAX_ROWS:
        raise _too_many("lines")
    decode = msgspec.json.Decoder().decode
    for number, raw_line in enumerate(io.BytesIO(data), start=1):  # one line at a time is held
        line = raw_line.removeprefix(BOM) if number == 1 else raw_line
        if line.isspace():
            continue
        place = Place(f"/{number}", f"line {number}")
        if len(line) > MAX_LINE:
            yield place, _problem(place, f"{len(line):,} bytes; at most {MAX_LINE:,} are read of one line")
            continue
        try:
            raw = decode(line)
            twice = repeated_key(line)
        except (msgspec.DecodeError, RecursionError) as error:
            yield place, _problem(place, f"not JSON: {error}")
            continue
        if twice is not None:
            pointer, key = twice
            detail = f"the key {key!r} stands twice in this object; leave one of them out"
            yield place, _problem(place, detail, place.pointer + pointer)
        elif columns.named and isinstance(raw, dict):
            yield place, columns.item({name: raw[name] for name in raw if raw[name] is not None})
        else:
            yield place, raw


def _csv(data: bytes, columns: Columns) -> Raws:
    csv.field_size_limit(MAX_LINE)
    _utf8(data)
    place = Place("/1", "line 1")
    reader = _records(data)
    try:
        if data.count(b"\n") > MAX_ROWS and sum(1 for _ in islice(_records(data), MAX_ROWS + 2)) > MAX_ROWS + 1:
            raise _too_many("rows")
        header: list[str] = next(reader, [])
        names = _header(columns, header, place)
        before = reader.line_num
        for row in reader:
            place, before = Place(f"/{before + 1}", f"line {before + 1}"), reader.line_num
            if not row:
                continue
            if len(row) != len(header):
                detail = f"{len(row)} fields, and the header has {len(header)}; quote fields with commas or line breaks"
                yield place, _problem(place, detail)
                continue
            yield place, columns.item({name: value for name, value in zip(names, row, strict=True) if value != ""})
    except csv.Error as error:
        place = Place(f"/{reader.line_num}", f"line {reader.line_num}")
        yield place, _problem(place, f"not CSV: {error}")


def _records(data: bytes) -> Any:
    """The rows of a CSV file; its text is decoded as it is read."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""), strict=True)


def _parquet(data: bytes, columns: Columns) -> Raws:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        _bounded(data, file)
        written = list(file.schema_arrow.names)
        names = _header(columns, written, Place("", "the schema"))
        for batch in file.iter_batches(batch_size=PARQUET_ROWS):
            for row in batch.to_pylist():
                number += 1
                place = Place(f"/{number}", f"row {number}")
                cells = {name: row[own] for name, own in zip(names, written, strict=True) if row[own] is not None}
                values = {name: plain_value(value) for name, value in cells.items()}
                if (bad := next((name for name in values if values[name] is NotJSON), None)) is not None:
                    detail = (
                        f"column {bad!r} holds {type(cells[bad]).__name__}, which JSON has not; write text or numbers"
                    )
                    yield place, _problem(place, detail, f"{place.pointer}/{escape(bad)}")
                else:
                    yield place, columns.item(values)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidContentError.at("", f"not Parquet: {' '.join(str(error).split())[:300]}") from error


def _bounded(data: bytes, file: Any) -> None:
    """A small file may unfold to a very large table, be it by compression or because one long value stands once and is
    meant a million times. What it says of itself is read first, then how long its texts are without spelling them out."""
    import pyarrow
    from pyarrow import compute, parquet, types

    metadata = file.metadata
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if metadata.num_rows <= MAX_ROWS and size <= MAX_UNFOLDED:
        for field in file.schema_arrow:
            if any(is_text(field.type) for is_text in (types.is_string, types.is_large_string, types.is_dictionary)):
                once = parquet.ParquetFile(io.BytesIO(data), read_dictionary=[field.name])
                for chunk in once.read(columns=[field.name]).column(0).chunks:
                    if isinstance(chunk, pyarrow.DictionaryArray):
                        lengths = compute.binary_length(chunk.dictionary)
                        size += compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
    if metadata.num_rows > MAX_ROWS or size > MAX_UNFOLDED:
        detail = f"{metadata.num_rows:,} rows of {size:,} bytes; at most {MAX_ROWS:,} rows and {MAX_UNFOLDED:,} bytes are read"
        raise InvalidContentError.at("", detail)


def _header(columns: Columns, names: Sequence[str], place: Place) -> list[str]:
    try:
        return columns.header(names)
    except ValueError as error:
        raise _problem(place, str(error)) from error


READERS: dict[str, Callable[[bytes, Columns], Raws]] = {
    "application/x-ndjson": _jsonl,
    "application/jsonl": _jsonl,
    "text/csv": _csv,
    "application/vnd.apache.parquet": _parquet,
}


def _utf8(data: bytes) -> None:
    if (at := not_utf8(data)) is not None:
        line = data.count(b"\n", 0, at) + 1
        place = Place(f"/{line}", f"line {line}")
        raise _problem(place, f"byte {at} of the file is not UTF-8; save it as UTF-8")


def _too_many(what: str) -> InvalidContentError:
    return several(
        [FieldError("", f"more than {MAX_ROWS:,} {what}; at most {MAX_ROWS:,} are read: make several datasets")]
    )


def _problem(place: Place, words: str, pointer: str | None = None) -> InvalidContentError:
    return several([FieldError(place.pointer if pointer is None else pointer, f"{place.words}: {words}")])
