"""Which bytes are text, and which texts may be items' ids: two that look alike are one, and a list of them shows what it says."""

import codecs
import unicodedata

PORTION = 1 << 20

_CONTROL = frozenset({"Cc", "Zl", "Zp"})
_UNSEEN = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
"""Marks of direction, and spaces without width."""


def id_problem(text: str) -> str | None:
    """What keeps a text from being an item's id, with the fix; None when nothing does."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return None
    for place, character in enumerate(text, start=1):
        if character in _UNSEEN or unicodedata.category(character) in _CONTROL:
            return f"character {place} is U+{ord(character):04X}, which cannot be seen; leave it out"
    if text != text.strip():
        return "it begins or ends with white space; leave that out"
    if not unicodedata.is_normalized("NFC", text):
        return "it is not composed (Unicode NFC), so that another id could look the same; send it composed"
    return None


def not_utf8(data: bytes) -> int | None:
    """The place of the first byte that is not UTF-8; None when all are.

    A portion at a time: one character outside of ASCII would make the text of the whole four times as large as its bytes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), PORTION):
        held = len(decoder.getstate()[0])  # bytes of a character that began in the portion before
        try:
            decoder.decode(view[start : start + PORTION], start + PORTION >= len(data))
        except UnicodeDecodeError as error:
            return start - held + error.start
    return None
