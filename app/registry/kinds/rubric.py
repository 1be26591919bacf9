"""Rubrics: how a model judges an answer."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.registry.kinds.base import Content, Kind, Reference, Tag, template_problems


class Scale(Content, frozen=True):
    low: float
    high: float


class Rubric(Content, frozen=True):
    """`instructions` is a template over the case and the answer; the verdict is one of `labels`, or a number on `scale`."""

    instructions: Annotated[str, msgspec.Meta(min_length=1)]
    endpoint: str
    description: str = ""
    labels: dict[str, float] | None = None
    scale: Scale | None = None
    examples: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    votes: Annotated[int, msgspec.Meta(ge=1, le=25)] = 1
    tags: list[Tag] = []


def references(rubric: Rubric) -> Iterable[Reference]:
    yield Reference("/endpoint", "endpoint", rubric.endpoint)


def problems(rubric: Rubric) -> Iterable[FieldError]:
    yield from template_problems(rubric.instructions, "/instructions")
    if (rubric.labels is None) == (rubric.scale is None):
        yield FieldError("/labels", "a rubric has either `labels` or `scale`")
    if rubric.labels is not None and len(set(rubric.labels.values())) < 2:
        yield FieldError("/labels", "labels need at least two different scores, or no verdict can ever fail")
    for label, score in (rubric.labels or {}).items():
        if not 0 <= score <= 1:
            yield FieldError(f"/labels/{escape(label)}", "a label's score lies between 0 and 1")
    if rubric.scale is not None and rubric.scale.low >= rubric.scale.high:
        yield FieldError("/scale", "low must be below high")


KIND = Kind(
    "rubric",
    "rubrics",
    ".rubric.yaml",
    Rubric,
    ("instructions", "labels", "scale", "examples", "params", "votes"),
    references,
    problems,
)
