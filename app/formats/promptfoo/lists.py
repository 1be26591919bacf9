"""Lists that promptfoo writes as one text."""

import re

_SPACES = re.compile(r"\s*")


class CannotMapError(Exception):
    """An assertion without a scorer; the message says why."""


def separated(text: str) -> list[str]:
    """The fields of a text with commas between them; in quotes a field may hold commas.

    A quote within quotes is doubled, or has a backslash before it.

    Empty fields are left out unless they are quoted. Raises CannotMapError for a quote that is not closed, and for text
    behind a closed one; promptfoo ends such a test with an error.
    """
    found: list[str] = []
    at = _behind_commas(text, 0)
    while at < len(text):
        if text[at] == '"':
            field, at = _quoted(text, at + 1)
            at = _behind_spaces(text, at)
            if at < len(text) and text[at] != ",":
                raise CannotMapError("its value has text behind a closed quote; put a comma there")
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            field, at = text[at:end].strip(), end
        found.append(field)
        at = _behind_commas(text, at)
    return found


def _behind_spaces(text: str, at: int) -> int:
    match = _SPACES.match(text, at)
    return at if match is None else match.end()


def _behind_commas(text: str, at: int) -> int:
    at = _behind_spaces(text, at)
    while at < len(text) and text[at] == ",":
        at = _behind_spaces(text, at + 1)
    return at


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The field that begins at `at`, behind its quote, and where it ends."""
    field: list[str] = []
    while at < len(text):
        pair = text[at : at + 2]
        if pair in ('\\"', "\\\\", '""'):
            field.append(pair[1])
            at += 2
        elif text[at] == '"':
            return "".join(field), at + 1
        else:
            field.append(text[at])
            at += 1
    raise CannotMapError("its value has a quote that is not closed")
