"""What people write in passing: messages, reasons, names of keys."""

from typing import Annotated

import msgspec

from app.kit.errors import BadRequestError, InvalidContentError

STORABLE = r"^[^\x00]*$"
"""What a text on the wire must match where nothing else looks at it."""

Note = Annotated[str, msgspec.Meta(max_length=10_000, pattern=STORABLE)]
"""A message or a reason."""


def bad_text(text: str) -> str | None:
    """What keeps a text from being stored: PostgreSQL takes no NUL, and UTF-8 no lone surrogate. None when nothing does."""
    if "\x00" in text:
        return "a NUL character cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"character {error.start + 1} is a lone surrogate, which is no text"
    return None


def require_text(text: str, pointer: str) -> None:
    """Raises `InvalidContentError` at `pointer` for a text that cannot be stored."""
    if (problem := bad_text(text)) is not None:
        raise InvalidContentError.at(pointer, problem)


def require_findable(text: str | None, pointer: str) -> None:
    """Raises `BadRequestError` at `pointer` for a text that is looked for and that no database can hold."""
    if text is not None and "\x00" in text:
        raise BadRequestError.at(pointer, "no text that is stored holds the character NUL; leave it out")
