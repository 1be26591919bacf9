"""What the words of a command line stand for: files as they are now, or things in the registry.

A word that ends in .yaml or .yml is a file. As soon as one word is a file, the project that it lies in is kept as
drafts (by digest, no version numbers), and every name that the project's files declare means the files, not the registry.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from promptward import AsyncClient

from app.cli.exits import UserError
from app.cli.project import find_root, project_files

KINDS = {
    "prompt": "prompts",
    "endpoint": "endpoints",
    "rag_config": "rag-configs",
    "tool_config": "tool-configs",
    "suite": "suites",
}
CANDIDATE = ("prompt", "rag_config", "tool_config", "endpoint")
NONE = "none"


def parsed_candidate(text: str) -> dict[str, str]:
    """`FILE`, `REF`, or `prompt=…,endpoint=…,rag_config=…,tool_config=…` as its parts."""
    if text.partition("=")[0].strip() not in CANDIDATE:
        return {"prompt": text}
    parts: dict[str, str] = {}
    for piece in text.split(","):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if name not in CANDIDATE or not equals or not value:
            raise UserError(f"{text!r}: {piece!r} is not one of {', '.join(f'{n}=…' for n in CANDIDATE)}")
        if name in parts:
            raise UserError(f"{text!r} gives {name} twice")
        parts[name] = value
    if "prompt" not in parts:
        raise UserError(f"{text!r} has no prompt=…")
    return parts


class Parts(NamedTuple):
    """The drafts of a project: reference by (kind, name) and by (kind, path)."""

    names: dict[tuple[str, str], str]
    paths: dict[tuple[str, Path], str]

    @classmethod
    async def of(cls, client: AsyncClient, words: Iterable[str]) -> "Parts":
        """Keeps the project's files as drafts when one of `words` is a file."""
        files = [path for word in words if (path := _path(word)) is not None]
        if not files:
            return cls({}, {})
        root = find_root(files[0].parent)
        kept = await client.sync([file.payload() for file in project_files(root)], mode="draft")
        names, paths = {}, {}
        for item in kept["items"]:
            reference = f"{item['name']}@{item['digest']}"
            names[item["kind"], item["name"]] = reference
            if item["path"] is not None:
                paths[item["kind"], root / item["path"]] = reference
        return cls(names, paths)

    def reference(self, part: str, word: str) -> str:
        """What to send for `word`, which stands for a `part` such as `prompt`."""
        kind = KINDS[part]
        path = _path(word)
        if path is None:
            return self.names.get((kind, word), word)
        found = self.paths.get((kind, path))
        if found is None:
            raise UserError(
                f"{word} is no {part} of the project in {find_root(path.parent)}; is its name or folder right?"
            )
        return found

    def candidate(self, parts: dict[str, str]) -> dict[str, Any]:
        """A candidate for the API; `none` takes a RAG or tool config away."""
        return {
            part: None if word == NONE and part in ("rag_config", "tool_config") else self.reference(part, word)
            for part, word in parts.items()
        }


def _path(word: str) -> Path | None:
    """The file that a word stands for, or None; a `UserError` when the file is not there."""
    if not word.endswith((".yaml", ".yml")):
        return None
    path = Path(word).absolute()
    if not path.is_file():
        raise UserError(f"there is no file {word}")
    return path.resolve()
