"""How alike two JSON values are."""

import functools
from typing import Any

import msgspec
from rapidfuzz.distance import Levenshtein

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.reference.pairs import QUADRATIC_LIMIT
from evaluators.text import clip

_SHOWN = 20

Path = tuple[str, ...]


class JSONDiff(Scorer, frozen=True):
    """Likeness of two JSON values, part by part.

    Objects: the mean over the union of their keys, a key that is missing counting as null. Arrays: the sum over the
    pairs at the same index, divided by the longer length; so is what stands in only one of them 0. Strings:
    Levenshtein similarity. Numbers: 1 - |a - b| / (|a| + |b|). Null against null 1, against another value 0; booleans 1
    when they are equal, else 0; values of different kinds by the Levenshtein similarity of their canonical JSON. Strings
    that hold a JSON object or array are read as such unless `preserve_strings`. Range [0, 1], higher is better.

    `ignore` names parts by JSON pointer that do not count, `weights` parts that count more or less than 1 among their
    neighbours; `*` stands for any key or index. A reference that is an array is given as JSON text or as the only entry
    of a list, for a list holds alternatives, of which the best counts. An output that is not JSON is unparsable (0), an
    empty one, too. A reference text that is not JSON is skipped.

    Source: autoevals 0.3, `JSONDiff` and `NumericDiff`; there true equals 1, here it equals only true.
    """

    name = "json_diff"
    needs = frozenset({"reference"})
    example = {"ignore": ["/created_at"], "weights": {"/total": 3}}

    ignore: list[str] = []
    weights: dict[str, float] = {}
    preserve_strings: bool = False

    def check(self) -> None:
        super().check()
        for index, pointer in enumerate(self.ignore):
            _check_pointer(pointer, f"/args/ignore/{index}")
        for pointer, weight in self.weights.items():
            place = "/args/weights/" + pointer.replace("~", "~0").replace("/", "~1")
            _check_pointer(pointer, place)
            if not 0 < weight < 1e6:
                raise ScorerConfigError(f"the weight of {pointer!r} must be above 0 and below 1e6; use `ignore`", place)

    @functools.cached_property
    def _ignored(self) -> list[Path]:
        return [_parts(pointer) for pointer in self.ignore]

    @functools.cached_property
    def _weighted(self) -> list[tuple[Path, float]]:
        return [(_parts(pointer), weight) for pointer, weight in self.weights.items()]

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not _expected(sample):
            return f"{self.name} compares JSON, and the reference is none: {clip(str(sample.reference))}"
        return reason

    def measure(self, sample: Sample) -> Score:
        try:
            found = jsondata.parse(sample.output)
        except jsondata.NotJSONError as exc:
            return Score.unparsable(f"{exc}; found {clip(sample.output)}")
        best: _Comparison | None = None
        number = 0
        for index, each in enumerate(_expected(sample)):
            comparison = _Comparison(self._ignored, self._weighted, self.preserve_strings)
            try:
                comparison.run(found, each)
            except _TooMuchError:
                return Score.error(f"{self.name} would take too long on values of this size")
            except RecursionError:
                return Score.error(f"{self.name} cannot compare values that are nested so deeply")
            if best is None or comparison.value > best.value:
                best, number = comparison, index
        assert best is not None  # noqa: S101 - `lacking` saw a reference
        if not best.differences:
            return self.scored(best.value, "the values are equal")
        pointers = ", ".join(each["pointer"] or "the top" for each in best.differences[:5])
        evidence = {"reference": number, "differences": best.differences}
        return self.scored(best.value, f"{best.count} parts differ: {pointers}", evidence=evidence)


class _TooMuchError(Exception):
    pass


class _Comparison:
    """One walk over two values; `differences` are the first leaves whose likeness is below 1."""

    def __init__(self, ignored: list[Path], weighted: list[tuple[Path, float]], preserve_strings: bool) -> None:
        self._ignored, self._weighted, self._preserve = ignored, weighted, preserve_strings
        self._work = 0.0
        self.value = 0.0
        self.count = 0
        self.differences: list[dict[str, Any]] = []

    def run(self, found: Any, expected: Any) -> None:
        self.value = min(1.0, max(0.0, self._likeness(found, expected, ())))

    def _likeness(self, found: Any, expected: Any, path: Path) -> float:
        if not self._preserve:
            found, expected = _unfolded(found), _unfolded(expected)
        if isinstance(found, dict) and isinstance(expected, dict):
            keys = found.keys() | expected.keys()
            # In the reference's order, then the output's: differences are then listed as people read them.
            ordered = [*expected, *(key for key in found if key not in expected)] if keys else []
            return self._mean([(key, found.get(key), expected.get(key)) for key in ordered], path)
        if isinstance(found, list) and isinstance(expected, list):
            longer = max(len(found), len(expected))
            pairs = [(str(index), *_at(found, expected, index)) for index in range(longer)]
            return self._mean(pairs, path, min(len(found), len(expected)))
        return self._leaf(found, expected, path)

    def _mean(self, parts: list[tuple[str, Any, Any]], path: Path, paired: int | None = None) -> float:
        total = weights = 0.0
        for index, (key, found, expected) in enumerate(parts):
            below = (*path, key)
            if self._ignored and any(_covers(each, below) for each in self._ignored):
                continue
            weight = next((each for pattern, each in self._weighted if _covers(pattern, below)), 1.0)
            weights += weight
            if paired is not None and index >= paired:
                self._note(below, found, expected, 0.0)
            else:
                total += weight * self._likeness(found, expected, below)
        return total / weights if weights else 1.0

    def _leaf(self, found: Any, expected: Any, path: Path) -> float:
        value = self._of_leaves(found, expected)
        if value < 1:
            self._note(path, found, expected, value)
        return value

    def _of_leaves(self, found: Any, expected: Any) -> float:
        if isinstance(found, str) and isinstance(expected, str):
            return self._of_texts(found, expected)
        if isinstance(found, bool) and isinstance(expected, bool):
            return float(found is expected)
        if _is_number(found) and _is_number(expected):
            return numeric_likeness(found, expected)
        if found is None or expected is None:
            return float(found is expected)
        return self._of_texts(_canonical(found), _canonical(expected))

    def _of_texts(self, found: str, expected: str) -> float:
        self._work += float(len(found)) * len(expected)
        if self._work > QUADRATIC_LIMIT:
            raise _TooMuchError
        return Levenshtein.normalized_similarity(found, expected)

    def _note(self, path: Path, found: Any, expected: Any, value: float) -> None:
        self.count += 1
        if len(self.differences) < _SHOWN:
            pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
            self.differences.append(
                {"pointer": pointer, "value": value, "output": _short(found), "reference": _short(expected)}
            )


def numeric_likeness(left: float, right: float) -> float:
    """autoevals' NumericDiff: 1 - |a - b| / (|a| + |b|), 1 for two zeros; scaled first, so that nothing overflows."""
    if left == right:
        return 1.0
    scale = max(abs(left), abs(right))
    left, right = left / scale, right / scale
    return max(0.0, 1 - abs(left - right) / (abs(left) + abs(right)))


def _at(found: list[Any], expected: list[Any], index: int) -> tuple[Any, Any]:
    return found[index] if index < len(found) else None, expected[index] if index < len(expected) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unfolded(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return jsondata.parse(value)
        except jsondata.NotJSONError:
            return value
    return value


def _expected(sample: Sample) -> list[Any]:
    """The alternatives as JSON values; texts that hold none are left out."""
    values = []
    for each in sample.references:
        if isinstance(each, str):
            try:
                each = jsondata.parse(each)
            except jsondata.NotJSONError:
                continue
        values.append(each)
    return values


def _canonical(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    text = _canonical(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _parts(pointer: str) -> Path:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _covers(pattern: Path, path: Path) -> bool:
    return len(pattern) == len(path) and all(p in ("*", q) for p, q in zip(pattern, path, strict=True))


def _check_pointer(pointer: str, place: str) -> None:
    if not pointer.startswith("/"):
        raise ScorerConfigError(f"{pointer!r} is no JSON pointer to a part; write it like /items/*/price", place)
