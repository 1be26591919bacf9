"""From what other tools call things to names, tags and labels that are allowed here."""

import re
import unicodedata

from app.formats.sources import hidden_character, refused

MAX_NAME = 120
_SUFFIXES = (
    ".prompt.yaml",
    ".prompt.yml",
    ".prompty",
    ".prompt",
    ".txt",
    ".md",
    ".markdown",
    ".j2",
    ".json",
    ".yaml",
    ".yml",
)
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,119}")
"""What may stay as a further name of a prompt."""
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def checked(text: str, path: str, line: int | None) -> str:
    """`text` when it may be shown as a name; a hidden or right-to-left character is refused with its place."""
    if hidden := hidden_character(text):
        raise refused(path, line, f"the name {text!a} holds the hidden character {hidden}; remove it")
    return text


def name_of(text: str, fallback: str = "prompt") -> str:
    """A name as close to `text` as the grammar allows: letters without accents, a hyphen for what is not allowed."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    segments = (_segment(part) for part in plain.split("/"))
    name = "/".join(segment for segment in segments if segment)
    return "/".join(part for s in name[:MAX_NAME].split("/") if (part := _segment(s))) or fallback


def name_of_path(path: str) -> str:
    """A prompt's name for a file: its path without suffix, and without the folder `prompts/` that ours lie in."""
    stem = next((path[: -len(s)] for s in _SUFFIXES if path.lower().endswith(s)), path)
    folder, _, last = stem.rpartition("/")
    if folder and last.lower() in ("system", "prompt", "index"):
        stem = folder
    return name_of(stem.removeprefix("prompts/"))


def tag_of(text: str) -> str:
    """A tag of at most 60 characters."""
    return " ".join(text.split())[:60].strip() or "imported"


def is_label(text: str) -> bool:
    return text != "latest" and _LABEL.fullmatch(text) is not None


def _segment(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text.strip())
    return re.sub(r"\.{2,}", ".", cleaned).lstrip("._-").rstrip(".-")
