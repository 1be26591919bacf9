"""The door of this room: `read` makes a project of another tool's files, `write` gives our own to another tool."""

from collections.abc import Callable, Mapping

from app.formats.building import Builder
from app.formats.promptfoo.reading import read_promptfoo
from app.formats.schemas import Imported
from app.formats.sources import Sources
from app.formats.text import read_git_log, read_text
from app.kit.errors import InvalidContentError

READERS: dict[str, Callable[[Sources, Builder], None]] = {
    "git-log": read_git_log,
    "promptfoo": read_promptfoo,
    "text": read_text,
}


def read(format: str, files: Mapping[str, bytes]) -> Imported:  # noqa: A002 - what users call it
    """The project that `files` (by path) of a format hold, with every loss.

    Nothing is executed, fetched or stored. Raises `InvalidContentError` naming file and line for what cannot be read.
    """
    if format not in READERS:
        raise InvalidContentError(f"{format!r} is no format; there is {', '.join(sorted(READERS))}")
    builder = Builder()
    READERS[format](Sources(files), builder)
    return builder.imported
