"""Ways to tamper with an exported chain. Each gives other lines than it got, and canonical ones where it can."""

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import rfc8785

Lines = list[bytes]
Tampering = Callable[[random.Random, Lines], Lines]
FIELDS = (
    "actor",
    "action",
    "subject",
    "before",
    "after",
    "reason",
    "details",
    "at",
    "no",
    "previous",
    "hash",
    "project",
)


def encoded(value: Any) -> bytes:
    return rfc8785.dumps(value) + b"\n"


def hashed(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the hash that belongs to it, by the algorithm that is documented and by nothing of ours."""
    fields = {name: value for name, value in entry.items() if name != "hash"}
    return {**fields, "hash": "sha256:" + hashlib.sha256(rfc8785.dumps(fields)).hexdigest()}


def another(dice: random.Random, value: Any) -> Any:
    """A value of the same kind that is not `value`."""
    match value:
        case bool():
            return not value
        case int():
            return value + dice.choice((-1, 1, 7))
        case float():
            return value + 0.5
        case None:
            return dice.choice(("", "sha256:" + "a" * 64))
        case str() if value:
            at = dice.randrange(len(value))
            return value[:at] + dice.choice([c for c in "a0Z é" if c != value[at]]) + value[at + 1 :]
        case str():
            return "x"
        case dict() if value and dice.random() < 0.7:
            key = dice.choice(sorted(value))
            return {**value, key: another(dice, value[key])}
        case dict():
            return {**value, f"more {len(value)}": 1}
        case _:
            return [*value, None]


def field(dice: random.Random, lines: Lines) -> Lines:
    at = dice.randrange(len(lines) - 1)
    entry = json.loads(lines[at])
    name = dice.choice(FIELDS)
    return [*lines[:at], encoded({**entry, name: another(dice, entry[name])}), *lines[at + 1 :]]


def field_with_its_hash(dice: random.Random, lines: Lines) -> Lines:
    at = dice.randrange(len(lines) - 1)
    entry = json.loads(lines[at])
    name = dice.choice([name for name in FIELDS if name != "hash"])
    return [*lines[:at], encoded(hashed({**entry, name: another(dice, entry[name])})), *lines[at + 1 :]]


def deleted(dice: random.Random, lines: Lines) -> Lines:
    gone = set(dice.sample(range(len(lines) - 1), dice.randint(1, 3)))
    return [line for at, line in enumerate(lines) if at not in gone]


def swapped(dice: random.Random, lines: Lines) -> Lines:
    one, other = dice.sample(range(len(lines)), 2)
    made = list(lines)
    made[one], made[other] = made[other], made[one]
    return made


def cut_in_front(dice: random.Random, lines: Lines) -> Lines:
    return lines[dice.randint(1, len(lines) - 1) :]


def cut_behind(dice: random.Random, lines: Lines) -> Lines:
    return lines[: -dice.randint(1, len(lines) - 1)]


def last_entries(dice: random.Random, lines: Lines) -> Lines:
    return [*lines[: -dice.randint(2, len(lines) - 1)], lines[-1]]


def cut_anywhere(dice: random.Random, lines: Lines) -> Lines:
    whole = b"".join(lines)
    return whole[: dice.randrange(len(whole))].splitlines(keepends=True)


def doubled(dice: random.Random, lines: Lines) -> Lines:
    at = dice.randrange(len(lines))
    to = dice.randint(0, len(lines))
    return [*lines[:to], lines[at], *lines[to:]]


def reordered(dice: random.Random, lines: Lines) -> Lines:
    made = list(lines)
    while made == lines:
        first = dice.randrange(len(lines) - 2)
        part = lines[first : dice.randint(first + 2, len(lines))]
        made[first : first + len(part)] = dice.sample(part, len(part))
    return made


def forged(dice: random.Random, lines: Lines) -> Lines:
    at = dice.randrange(len(lines))
    before = json.loads(lines[at - 1]) if at else {"no": 0, "hash": "sha256:" + "0" * 64}
    like = json.loads(lines[dice.randrange(len(lines) - 1)])
    like |= {"no": before["no"] + 1, "previous": before["hash"], "reason": f"forged {dice.random()}"}
    return [*lines[:at], encoded(hashed(like)), *lines[at:]]


def strange(dice: random.Random, lines: Lines) -> Lines:
    """The same to a lenient reader: other spaces, a field twice, an empty line, no line end."""
    at = dice.randrange(len(lines))
    line = lines[at]
    other = [line.replace(b'":', b'": ', 1), b'{"actor":"somebody",' + line[1:], line + b"\n", line[:-1]]
    return [*lines[:at], dice.choice(other), *lines[at + 1 :]]


PLAIN: tuple[Tampering, ...] = (
    field,
    field_with_its_hash,
    deleted,
    swapped,
    cut_in_front,
    cut_behind,
    last_entries,
    cut_anywhere,
    doubled,
    reordered,
    forged,
    strange,
)
"""Found in the file alone."""


def rewritten(dice: random.Random, lines: Lines) -> Lines:
    """Tampered with, all numbers and hashes made anew to fit, and the checkpoint with them; its MAC alone cannot be."""
    entries = [json.loads(line) for line in lines[:-1]]
    match dice.randrange(4):
        case 0:
            at = dice.randrange(len(entries))
            entries[at]["reason"] += " indeed"
        case 1:
            del entries[dice.randrange(len(entries))]
        case 2:
            del entries[-dice.randint(1, len(entries)) :]
        case _:
            at = dice.randrange(len(entries))
            entries.insert(at, {**entries[at], "actor": "nobody"})
    made, previous = [], "sha256:" + "0" * 64
    for number, entry in enumerate(entries, 1):
        entry = hashed({**entry, "no": number, "previous": previous})
        previous = entry["hash"]
        made.append(encoded(entry))
    end = json.loads(lines[-1])["checkpoint"]
    return [*made, encoded({"checkpoint": {**end, "no": len(made), "hash": previous}})]


def checkpoint(dice: random.Random, lines: Lines) -> Lines:
    end = json.loads(lines[-1])["checkpoint"]
    name = dice.choice(sorted(end))
    return [*lines[:-1], encoded({"checkpoint": {**end, name: another(dice, end[name])}})]


def one_byte(dice: random.Random, lines: Lines) -> Lines:
    whole = bytearray(b"".join(lines))
    whole[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
    return bytes(whole).splitlines(keepends=True)


SEALED: tuple[Tampering, ...] = (rewritten, checkpoint, one_byte)
"""Found with the key of the checkpoint's MAC."""
