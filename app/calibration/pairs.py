"""What people and the judge said of the same answers, read by the rubric: pure, without any text of the answers."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from app.calibration.schemas import HumanLabel, Leak, Said, Split
from app.kit.digests import digest
from app.kit.errors import FieldError, InvalidContentError
from app.registry.kinds.rubric import Rubric

TRAIN, DEV = 0.15, 0.45
MOST_PROBLEMS = 20
_TRUTH = {"true": 1.0, "false": 0.0}


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """One answer. `judge` is None where it gave no verdict."""

    id: str
    human: str
    judge: str | None
    split: Split
    weight: float = 1.0
    cluster: str | None = None


class Verdicts:
    """How a rubric's verdicts are written, and what they score."""

    def __init__(self, rubric: Rubric) -> None:
        self._labels, self._scale = rubric.labels, rubric.scale

    @property
    def ordered(self) -> bool:
        """Whether some verdicts are nearer to each other than others."""
        return self._labels is None or len(set(self._labels.values())) > 2

    @property
    def interval(self) -> bool:
        return self._labels is None

    @property
    def order(self) -> list[str] | None:
        """The labels, the worst first; None for a scale."""
        return None if self._labels is None else sorted(self._labels, key=self.score)

    def read(self, said: Said) -> str:
        """The verdict as the rubric writes it: a label by its name, its score, or true and false for 1 and 0; a number on
        the scale. Raises ValueError that says what there is."""
        if isinstance(said, str) and self._labels is not None:
            text = said.strip()
            if text in self._labels:
                return text
            alike = [label for label in self._labels if label.casefold() == text.casefold()]
            if len(alike) == 1:
                return alike[0]
        number = _number(said)
        if self._labels is not None:
            fitting = [label for label, score in self._labels.items() if score == number]
            if len(fitting) == 1:
                return fitting[0]
            raise ValueError(f"{said!r} is none of the labels {', '.join(self._labels)}")
        scale = self._scale
        if scale is None or number is None or not scale.low <= number <= scale.high:
            ends = "" if scale is None else f" from {scale.low:g} to {scale.high:g}"
            raise ValueError(f"{said!r} is no number{ends}")
        return f"{number:g}"

    def score(self, verdict: str) -> float:
        """0 to 1."""
        if self._labels is not None:
            return self._labels[verdict]
        if self._scale is None:
            raise ValueError("a rubric has labels or a scale")
        return (float(verdict) - self._scale.low) / (self._scale.high - self._scale.low)

    def at(self, value: float) -> str:
        """The place on the scale of a score."""
        if self._scale is None:
            raise ValueError("this rubric has labels, not a scale")
        return f"{self._scale.low + value * (self._scale.high - self._scale.low):g}"


def _number(said: Said) -> float | None:
    try:
        number = (
            _TRUTH[said.strip().casefold()]
            if isinstance(said, str) and said.strip().casefold() in _TRUTH
            else float(said)
        )
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def identity(label: HumanLabel) -> str:
    """What an answer is called."""
    if label.id is not None:
        return label.id
    if label.case is not None:
        return label.case if label.variant is None else f"{label.case} {label.variant}"
    return digest({"inputs": label.inputs, "output": label.output})


def read(labels: Sequence[HumanLabel], verdicts: Verdicts, seed: int, pointer: str = "/labels") -> list[Pair]:
    """The pairs with their parts. Raises `InvalidContentError` with the pointer of every label that cannot be read, and
    of answers that are labelled twice."""
    problems: list[FieldError] = []
    seen: dict[str, int] = {}
    given: list[tuple[str, str, str | None]] = []
    for i, label in enumerate(labels):
        at = f"{pointer}/{i}"
        if label.id is None and label.case is None and label.output is None:
            problems.append(FieldError(at, "name the answer: its `id`, `case` or `output`"))
            continue
        try:
            name = identity(label)
        except ValueError as error:
            problems.append(FieldError(at, str(error)))
            continue
        if name in seen:
            named = (
                repr(name) if label.id is not None or label.case is not None else "the same answer to the same inputs"
            )
            way = "give one label" if label.id is not None else "give one label, or each its own `id`"
            problems.append(FieldError(at, f"{named} is labelled by {pointer}/{seen[name]} already; {way}"))
            continue
        seen[name] = i
        said: list[str | None] = []
        for field in ("human", "judge"):
            value = getattr(label, field)
            try:
                said.append(None if field == "judge" and value in (None, "") else verdicts.read(value))
            except ValueError as error:
                problems.append(FieldError(f"{at}/{field}", str(error)))
        if len(said) == 2 and said[0] is not None:
            given.append((name, said[0], said[1]))
    if problems:
        raise InvalidContentError("; ".join(p.detail for p in problems[:3]), problems[:MOST_PROBLEMS])
    parts = split([(name, human, label.cluster) for (name, human, _), label in zip(given, labels, strict=True)], seed)
    return [
        Pair(name, human, judge, label.split or part, label.weight, label.cluster)
        for (name, human, judge), label, part in zip(given, labels, parts, strict=True)
    ]


def split(labelled: Sequence[tuple[str, str, str | None]], seed: int) -> list[Split]:
    """The part of each (id, label, cluster): 15 % train, 45 % dev, 40 % test of each label; a cluster stays together."""
    units: dict[str, str] = {}
    for name, label, cluster in labelled:
        units.setdefault(_unit(name, cluster), label)
    strata: dict[str, list[str]] = defaultdict(list)
    for unit, label in units.items():
        strata[label].append(unit)
    parts: dict[str, Split] = {}
    for members in strata.values():
        members.sort(key=lambda unit: hashlib.sha256(f"{seed}\0{unit}".encode()).digest())
        for place, unit in enumerate(members):
            share = (place + 0.5) / len(members)
            parts[unit] = "train" if share < TRAIN else "dev" if share < TRAIN + DEV else "test"
    return [parts[_unit(name, cluster)] for name, _, cluster in labelled]


def _unit(name: str, cluster: str | None) -> str:
    return f"i{name}" if cluster is None else f"c{cluster}"


def leaks(rubric: Rubric, labels: Sequence[HumanLabel], pairs: Sequence[Pair]) -> list[Leak]:
    """The rubric's examples that are answers outside of the train part: the judge has been told their verdicts."""
    outputs: dict[str, list[Pair]] = defaultdict(list)
    for label, pair in zip(labels, pairs, strict=True):
        if label.output is not None:
            outputs[_plain(label.output)].append(pair)
    return [
        Leak(number, pair.id, pair.split)
        for number, example in enumerate(rubric.examples)
        for pair in outputs.get(_plain(example.get("output", "")), [])
        if pair.split != "train"
    ]


def _plain(text: Any) -> str:
    return " ".join(str(text).casefold().split())
