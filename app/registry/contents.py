"""From what a user wrote to what is stored: normalised content, pins, canonical bytes, digest."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from app.kit.digests import DIGEST_PREFIX, canonical, digest, normalised
from app.kit.errors import FieldError, InvalidContentError, TooLargeError
from app.kit.pointers import escape
from app.kit.texts import bad_text
from app.registry.kinds import kinds
from app.registry.kinds.base import Kind
from app.registry.schemas import Artifact

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
EXACT_INTEGERS = 2**53


class Prepared(msgspec.Struct, frozen=True):
    """A checked content, ready to be stored. `plain` is its normalised JSON data without defaults, `body` its bytes."""

    kind: Kind
    content: Any
    plain: dict[str, Any]
    body: bytes
    pins: dict[str, str]
    deciding_pins: dict[str, str]
    digest: str

    def artifact(self, name: str | None = None, number: int | None = None) -> Artifact:
        return Artifact(self.kind.name, name, number, self.digest, self.content, self.pins, self.deciding_pins)


def parse(kind: Kind, data: Any, pointer: str = "") -> Any:
    """The content Struct of plain data; `InvalidContentError` with the pointers of the bad fields otherwise."""
    if problems := [FieldError(pointer + p.pointer, p.detail) for p in unrepresentable(data)]:
        raise several(problems)
    return kind.parse(data, pointer)


def several(problems: Sequence[FieldError]) -> InvalidContentError:
    return InvalidContentError("; ".join(f"{p.pointer or '/'}: {p.detail}" for p in problems), problems)


def prepare(kind: Kind, content: Any, pinned: Mapping[str, Artifact]) -> Prepared:
    """`content` is a parsed Struct of `kind`, `pinned` what each of its references stands for, by JSON pointer."""
    data = normalised(plain(content))
    body = canonical(data)
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"the content has {len(body):,} bytes; at most {MAX_BYTES:,} are kept in one version")
    pins = {pointer: artifact.digest for pointer, artifact in sorted(pinned.items())}
    deciding_pins = {pointer: digest(deciding(artifact)) for pointer, artifact in sorted(pinned.items())}
    return Prepared(
        kind=kind,
        content=msgspec.convert(data, kind.content),
        plain=data,
        body=body,
        pins=pins,
        deciding_pins=deciding_pins,
        digest=content_digest(kind.plural, body, pins),
    )


def content_digest(kind: str, body: bytes, pins: Mapping[str, str]) -> str:
    """The digest of `{kind, content, pins}` as versions show them; `body` is the content's canonical form already."""
    whole = b'{"content":' + body + b',"kind":' + canonical(kind) + b',"pins":' + canonical(dict(pins)) + b"}"
    return DIGEST_PREFIX + hashlib.sha256(whole).hexdigest()


def plain(value: Any) -> Any:
    """Plain JSON data without the fields of Structs that equal their default, wherever the default comes from."""
    if isinstance(value, msgspec.Struct):
        kept = {}
        for field in _fields(type(value)):
            item = getattr(value, field.name)
            if not _is_default(field, item):
                kept[field.encode_name] = plain(item)
        return kept
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _is_default(field: msgspec.structs.FieldInfo, value: Any) -> bool:
    if field.default is not msgspec.NODEFAULT:
        default = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    else:
        return False
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


def deciding(artifact: Artifact) -> dict[str, Any]:
    """The part of a content that decides an answer: `{kind, content, pins}` with the kind's deciding fields alone.

    A reference's text is left out (`name` and `name@7` may mean the same); in its place stands, under `pins`, the digest of
    the deciding part of what it was resolved to.
    """
    kind = kinds()[artifact.kind]
    data = {key: value for key, value in plain(artifact.content).items() if key in kind.deciding}
    for reference in kind.references(artifact.content):
        _remove(data, reference.pointer)
    pins = {pointer: pin for pointer, pin in artifact.deciding_pins.items() if pointer.split("/")[1] in kind.deciding}
    return {"kind": kind.name, "content": data, "pins": pins}


def _remove(data: Any, pointer: str) -> None:
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    for part in parents:
        data = data[int(part)] if isinstance(data, list) else data.get(part, {})
    if isinstance(data, list):
        data[int(last)] = None
    else:
        data.pop(last, None)


def unrepresentable(value: Any, pointer: str = "", depth: int = 0) -> Iterable[FieldError]:
    """Every place that JSON cannot hold exactly, or that is nested too deep."""
    if depth > MAX_DEPTH:
        yield FieldError(pointer, f"nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, item in value.items():
            where = f"{pointer}/{escape(str(key))}"
            if isinstance(key, str) and (problem := bad_text(key)):
                yield FieldError(where, problem)
            yield from unrepresentable(item, where, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unrepresentable(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, str):
        if problem := bad_text(value):
            yield FieldError(pointer, problem)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield FieldError(pointer, f"{value} is no JSON number")
        elif abs(value) >= EXACT_INTEGERS:  # its canonical form would be read back as an integer
            yield FieldError(
                pointer, f"{value} is past 2**53, where JSON numbers stop being exact; write it as a string"
            )
    elif isinstance(value, int) and not -EXACT_INTEGERS < value < EXACT_INTEGERS:
        yield FieldError(pointer, f"{value} is past 2**53, where JSON numbers stop being exact; write it as a string")
