"""Plain text and Markdown: one prompt per file; and the history of such files as JSON lines."""

from datetime import datetime
from typing import Any

from app.formats.building import Builder, declared
from app.formats.foreign import Foreign, template_or_text
from app.formats.naming import checked, name_of, name_of_path
from app.formats.schemas import Version
from app.formats.sources import Sources, refused
from app.kit.templates import TemplateError

INPUT = "input"


def read_text(sources: Sources, builder: Builder) -> None:
    """A text with variables is one user message; one without, or a file called `system`, is a system message.

    A system message is followed by a user message `{{ input }}`.
    """
    for path in sources.paths:
        text = sources.text(path)
        content, foreign = prompt_of(text, path, 1)
        builder.strays(path, 1, foreign)
        builder.prompt(name_of_path(path), content, path)


def read_git_log(sources: Sources, builder: Builder) -> None:
    """JSON lines `{path, text, date?, author?, message?, commit?, pattern?, version?}`, one per version of a file.

    The prompt is named by `pattern`, else by `path`. Versions are ordered by `version` where that is given.
    """
    versions: dict[str, list[tuple[Any, Version, int]]] = {}
    for path in sources.paths:
        names: dict[str, str] = {}
        for number, row in sources.json_lines(path):
            if not isinstance(row, dict):
                raise refused(path, number, "a line is an object, such as {path, text, date, author}")
            file, text = _text(row, "path", path, number), _text(row, "text", path, number)
            if text is None or (file is None and row.get("pattern") is None):
                raise refused(path, number, "a line needs `text`, and `path` or `pattern`")
            wanted = checked(_text(row, "pattern", path, number) or file or "", path, number)
            if wanted not in names:
                names[wanted] = builder.free("prompt", name_of(wanted) if row.get("pattern") else name_of_path(wanted))
            content, foreign = prompt_of(text, file or f"{wanted}.md", number, path)
            builder.strays(path, None, foreign)
            version = Version(
                names[wanted],
                content,
                _text(row, "author", path, number),
                _date(row, path, number),
                _text(row, "message", path, number) or _commit(row, path, number),
            )
            order = row.get("version")
            known = versions.setdefault(names[wanted], [])
            known.append((order if isinstance(order, int) else len(known) + 1, version, number))
        for name in names.values():
            versions[name].sort(key=lambda each: each[0])
            for _, version, number in versions[name]:
                builder.version(version, path, number)
            _, newest, number = versions[name][-1]
            builder.set_prompt(name, newest.content, path, number)


def prompt_of(text: str, name: str, line: int, path: str | None = None) -> tuple[dict[str, Any], Foreign]:
    """A prompt's content for a text file called `name`, and how its text was read."""
    where = path or name
    if not text.strip():
        raise refused(where, line, "the file is empty; a prompt needs text")
    try:
        foreign = template_or_text(text)
    except TemplateError as error:
        raise refused(where, line, error.message) from error
    stem = name.rpartition("/")[2].partition(".")[0].lower()
    if foreign.names and (stem != "system" or INPUT in foreign.names):
        messages = [{"role": "user", "content": foreign.source}]
        return {"messages": messages, "variables": declared(foreign.names)}, foreign
    messages = [{"role": "system", "content": foreign.source}, {"role": "user", "content": "{{ input }}"}]
    return {"messages": messages, "variables": declared({*foreign.names, INPUT})}, foreign


def _text(row: dict[str, Any], key: str, path: str, line: int) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise refused(path, line, f"`{key}` is a text")
    return value


def _date(row: dict[str, Any], path: str, line: int) -> str | None:
    date = _text(row, "date", path, line)
    try:
        if date is not None:
            datetime.fromisoformat(date)
    except ValueError as error:
        raise refused(path, line, f"{date!r} is no date; write it like 2026-11-21T09:30:00+00:00") from error
    return date


def _commit(row: dict[str, Any], path: str, line: int) -> str:
    commit = _text(row, "commit", path, line)
    return f"commit {commit[:12]}" if commit else ""
