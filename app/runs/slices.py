"""Parts of a run's cases by what they are about: a tag, or the value of a field of their metadata."""

from typing import Any

import msgspec

from app.kit.errors import BadRequestError

TAG = "tag"
METADATA = "metadata."


def by_of(text: str, pointer: str = "/by") -> str:
    """`tag`, or the field of `metadata.<field>`. Raises `BadRequestError` for anything else."""
    if text == TAG:
        return TAG
    field = text.removeprefix(METADATA)
    if field == text or not field:
        raise BadRequestError.at(pointer, f"{text!r} is no slice; write tag, or metadata.<field>")
    return METADATA + field


def slice_of(text: str) -> tuple[str, str]:
    """By what, and which value: of `tag=hard` and `metadata.source=web`. Raises `BadRequestError` for anything else."""
    by, equals, value = text.partition("=")
    if not equals:
        raise BadRequestError.at("/slice", f"{text!r} is no slice; write tag=<tag>, or metadata.<field>=<value>")
    return by_of(by, "/slice"), value


def told(value: Any) -> str:
    """A value of metadata as a slice names it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def holds(metadata: dict[str, Any], by: str, value: str) -> bool:
    """Whether the field that `metadata.<field>` names is `value`."""
    field = by.removeprefix(METADATA)
    return field in metadata and told(metadata[field]) == value
