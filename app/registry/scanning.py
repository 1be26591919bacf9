"""Looking for personal data and secrets in what is about to be stored."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

from app.kit.errors import FieldError
from app.kit.pointers import escape

Mode = Literal["off", "report", "warn", "refuse"]
MODES: tuple[Mode, ...] = ("off", "report", "warn", "refuse")
"""Of a service: `report` tells when it is asked (`…/scan`, a dataset's report), `warn` also where something is made, `refuse`
makes nothing that holds a secret, or personal data that is not declared."""

SHOWN = 20


class Found(NamedTuple):
    """One finding: where, of which kind (`email`, `openai_key`, …) and group, and its masked form."""

    pointer: str
    kind: str
    group: str
    shown: str

    @property
    def problem(self) -> FieldError:
        what = "a secret" if self.group == "secret" else "personal data"
        return FieldError(self.pointer, f"this looks like {what}: {self.kind.replace('_', ' ')} {self.shown}")


def scan(data: Any, body: bytes, pointer: str = "") -> list[Found]:
    """What is found in the texts and keys of plain data; `body` is its JSON, which is looked at first because that is fast."""
    from evaluators.patterns import mentions

    return list(islice(_found(data, pointer), 1_000)) if mentions(body) else []


def _found(value: Any, pointer: str) -> Iterator[Found]:
    from evaluators.patterns import find

    if isinstance(value, str):
        for finding in find(value):
            yield Found(pointer, finding.kind, finding.group, finding.shown)
    elif isinstance(value, dict):
        for key, inner in value.items():
            where = f"{pointer}/{escape(key)}"
            for finding in find(key):
                yield Found(where, finding.kind, finding.group, finding.shown)
            yield from _found(inner, where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _found(inner, f"{pointer}/{index}")


def told(found: list[Found]) -> list[FieldError]:
    """The first findings as sentences, and how many more there are."""
    shown = [one.problem for one in found[:SHOWN]]
    if len(found) > SHOWN:
        shown.append(FieldError("", f"and {len(found) - SHOWN:,} more findings"))
    return shown
