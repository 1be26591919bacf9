"""Names that people give to keys and projects: any script, but nothing that hides or turns round what is read."""

import unicodedata

from app.kit.errors import InvalidContentError

_JOINERS = "\u200c\u200d"
"""Persian and emoji need them."""


def title_problem(text: str) -> str | None:
    """What is wrong with a name for people, or None: control, bidi and other invisible characters are."""
    for position, character in enumerate(text, start=1):
        category = unicodedata.category(character)
        if category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in _JOINERS):
            return (
                f"character {position} (U+{ord(character):04X}) is not to be seen or changes what is read; leave it out"
            )
    return None if text.strip() else "a name holds something that can be seen"


def checked_title(text: str, pointer: str = "/name") -> str:
    """`text`; raises `InvalidContentError` at `pointer` when it has a `title_problem`."""
    if (problem := title_problem(text)) is not None:
        raise InvalidContentError.at(pointer, problem)
    return text
