"""What other tools' files become: the files of a project, what came with them, and what could not be kept."""

from typing import Any

import msgspec


class Loss(msgspec.Struct, frozen=True):
    """Something that is not carried over: in which file, at which line (1-based, where it is known), and what."""

    path: str
    line: int | None
    what: str


class Version(msgspec.Struct, frozen=True):
    """One version of a prompt as its source kept it. `date` is the source's text, ISO 8601; `labels` follow our grammar."""

    prompt: str
    content: dict[str, Any]
    author: str | None = None
    date: str | None = None
    message: str = ""
    labels: list[str] = []


class Imported(msgspec.Struct):
    """Plain data, ready for `POST /api/v1/sync`; nothing is stored yet.

    `files` are those of a project, by path. `endpoints` belong into its `promptward.yaml`. `aliases` maps the ids that
    callers knew to prompts' names. `history` holds all versions of prompts whose source had several, oldest first; the
    newest is in `files`, too.
    """

    files: dict[str, bytes | str] = {}
    endpoints: dict[str, dict[str, Any]] = {}
    aliases: dict[str, str] = {}
    history: list[Version] = []
    losses: list[Loss] = []
