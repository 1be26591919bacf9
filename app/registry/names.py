"""The grammar of names, labels and references."""

import re
from typing import NamedTuple

from app.kit.errors import InvalidContentError

MAX_NAME = 120
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")
LATEST = "latest"


class Ref(NamedTuple):
    """A parsed reference; at most one of `number`, `label` and `digest` is set, none means the latest version."""

    name: str
    number: int | None = None
    label: str | None = None
    digest: str | None = None

    @property
    def is_latest(self) -> bool:
        return self.number is None and self.label is None and self.digest is None


def name_problem(name: str) -> str | None:
    """What is wrong with an artifact's name, or None."""
    if not name or len(name) > MAX_NAME:
        return f"a name has 1 to {MAX_NAME} characters; this one has {len(name)}"
    for segment in name.split("/"):
        if not _SEGMENT.fullmatch(segment) or ".." in segment or segment.endswith("."):
            return (
                f"{segment!r} cannot be part of a name: each part between slashes starts with a letter or digit and goes on "
                "with letters, digits, '.', '_' or '-', without '..' and without a dot at its end"
            )
    return None


def checked_name(name: str, pointer: str = "/name") -> str:
    if problem := name_problem(name):
        raise InvalidContentError.at(pointer, problem)
    return name


def label_problem(label: str) -> str | None:
    """What is wrong with a label, or None."""
    if label == LATEST:
        return "'latest' is no label: a name without anything behind it is the latest"
    if not _LABEL.fullmatch(label):
        return f"{label!r} is no label: a lower-case letter, then up to 39 of a-z, 0-9, '_' and '-'"
    return None


def checked_label(label: str, pointer: str = "/label") -> str:
    if problem := label_problem(label):
        raise InvalidContentError.at(pointer, problem)
    return label


def parse_ref(text: str) -> Ref:
    """`name`, `name@7`, `name@production` or `name@sha256:1f3a…` (12 hex digits at least).

    Raises `ValueError` with a sentence that says what is wrong.
    """
    name, at, version = text.partition("@")
    if problem := name_problem(name):
        raise ValueError(problem)
    return Ref(name, *parse_version(version)) if at else Ref(name)


class VersionRef(NamedTuple):
    number: int | None = None
    label: str | None = None
    digest: str | None = None


def parse_version(text: str) -> VersionRef:
    """What stands behind the `@`: `7`, `production`, `sha256:1f3a…` or `latest`. Raises `ValueError` otherwise."""
    if text == LATEST:
        return VersionRef()
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
        return VersionRef(number=int(text))
    if _DIGEST.fullmatch(text):
        return VersionRef(digest=text)
    if _LABEL.fullmatch(text):
        return VersionRef(label=text)
    raise ValueError(
        f"{text!r} names no version: use a number from 1, a label such as production, latest, or sha256: and at least 12 "
        "hex digits"
    )
