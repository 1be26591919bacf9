"""The door of this room: `read` makes a project of another tool's files, `write` gives our own to another tool."""

from collections.abc import Callable, Mapping

from app.formats.building import Builder
from app.formats.langfuse import read_langfuse
from app.formats.openai_prompts import read_openai
from app.formats.prompt_yml.reading import read_prompt_yml
from app.formats.prompt_yml.writing import write_prompt_yml
from app.formats.promptfoo.reading import read_promptfoo
from app.formats.promptfoo.writing import write_promptfoo
from app.formats.prompty import read_prompty
from app.formats.schemas import Exported, Imported, Project
from app.formats.sources import Sources
from app.formats.text import read_git_log, read_text
from app.kit.errors import InvalidContentError

READERS: dict[str, Callable[[Sources, Builder], None]] = {
    "git-log": read_git_log,
    "langfuse": read_langfuse,
    "openai": read_openai,
    "prompt.yml": read_prompt_yml,
    "promptfoo": read_promptfoo,
    "prompty": read_prompty,
    "text": read_text,
}

WRITERS: dict[str, Callable[[Project], Exported]] = {
    "prompt.yml": write_prompt_yml,
    "promptfoo": write_promptfoo,
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


def write(format: str, project: Project) -> Exported:  # noqa: A002 - what users call it
    """The files of a format that hold `project`, with every loss. Raises `InvalidContentError` for an unknown format."""
    if format not in WRITERS:
        raise InvalidContentError(f"{format!r} cannot be written; there is {', '.join(sorted(WRITERS))}")
    return WRITERS[format](project)
