"""What is said between a process that scores and the one that runs a team's own code: frames of MessagePack."""

import struct
from typing import IO, Any

import msgspec

from evaluators.contract import Direction

_LENGTH = struct.Struct(">I")
MAX_FRAME = 64 * 1024 * 1024


class Load(msgspec.Struct, frozen=True):
    """Which scorer is to be loaded. `limit_s` is how long one sample may take before the process ends itself."""

    root: str
    path: str
    attribute: str
    args: dict[str, Any]
    limit_s: float


class Described(msgspec.Struct, frozen=True, tag="described"):
    """A scorer that was loaded. `sources` maps the files of the project that it consists of to their SHA-256."""

    name: str
    version: int
    reads: list[str]
    binary: bool
    direction: Direction
    low: float
    high: float | None
    unit: str | None
    arguments: dict[str, Any]
    sources: dict[str, str]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why there is no scorer, with the JSON pointer of the faulty part of the suite's entry."""

    message: str
    pointer: str


def write(stream: IO[bytes], value: Any) -> None:
    """Raises UnicodeEncodeError for lone surrogates, ValueError for what is too large, OSError when nobody reads."""
    data = msgspec.msgpack.encode(value)
    if len(data) > MAX_FRAME:
        raise ValueError(f"{len(data):,} bytes; at most {MAX_FRAME:,} are handed over at once")
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read(stream: IO[bytes]) -> bytes:
    """One frame. Raises EOFError when the other side is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
