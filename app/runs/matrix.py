"""From what was asked to candidates: those of the list, then the combinations of the matrix."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from app.generation.schemas import CandidateSpec, Draft
from app.kit.errors import FieldError, InvalidContentError
from app.runs.asked import MAX_CANDIDATES, Matrix
from app.runs.schemas import RunCreate
from app.runs.spec import Variant

LISTS = {
    "prompt": "prompts",
    "rag_config": "rag_configs",
    "tool_config": "tool_configs",
    "endpoint": "endpoints",
    "params": "params",
}
WHOLE = "/matrix"


class Candidate(NamedTuple):
    """`pointer` is the place it was given at; one of the matrix has its parts at the `places` of their lists."""

    id: str
    spec: CandidateSpec
    pointer: str
    places: dict[str, str] | None = None

    def at(self, part: str) -> str:
        """The pointer of one part, such as `prompt`."""
        return f"{self.pointer}/{part}" if self.places is None else self.places.get(part, self.pointer)

    def placed(self, error: InvalidContentError) -> InvalidContentError:
        """An error of this candidate with the pointers that its user knows."""
        if self.places is None:
            return error
        detail, errors = error.detail, []
        for field in error.errors:
            part = field.pointer.removeprefix(f"{self.pointer}/").partition("/")[0]
            pointer = field.pointer.replace(f"{self.pointer}/{part}", self.at(part), 1)
            detail = detail.replace(field.pointer, pointer, 1)
            errors.append(FieldError(pointer, field.detail))
        return InvalidContentError(detail, errors)


def candidates_of(asked: RunCreate) -> list[Candidate]:
    """The baseline first. Raises `InvalidContentError` when there is no candidate, too many, or one twice in the matrix."""
    found = [Candidate(f"c{i + 1}", spec, f"/candidates/{i}") for i, spec in enumerate(asked.candidates)]
    if asked.matrix is not None:
        _check(asked.matrix, len(found))
        for spec, places in _combinations(asked.matrix):
            found.append(Candidate(f"c{len(found) + 1}", spec, WHOLE, places))
    if not found:
        raise InvalidContentError.at("/candidates", "name at least one candidate here, or give a matrix")
    if asked.baseline is not None:
        found.insert(0, Candidate("baseline", asked.baseline, "/baseline"))
    return found


def drafted(asked: RunCreate) -> bool:
    """Whether it brings contents of its own, which are kept to be planned with."""
    specs = [*asked.candidates, *([asked.baseline] if asked.baseline is not None else [])]
    parts: list[Any] = [asked.suite]
    parts += [part for s in specs for part in (s.prompt, s.rag_config, s.tool_config, s.endpoint)]
    if (matrix := asked.matrix) is not None:
        parts += [*matrix.prompts, *matrix.rag_configs, *matrix.tool_configs, *matrix.endpoints]
    return any(isinstance(part, Draft) for part in parts)


def pinned(asked: RunCreate, suite: str, variants: Sequence[Variant], repeats: int) -> dict[str, Any]:
    """The request with every reference as it was resolved, and the matrix as its candidates: asked again, it means the same."""

    def exact(candidate: Candidate) -> CandidateSpec:
        spec, variant = candidate.spec, next(v for v in variants if v.candidate == candidate.id)
        changes: dict[str, Any] = {"prompt": _exact(variant.prompt, variant.prompt_digest)}
        if isinstance(spec.rag_config, str | Draft) and variant.rag_config and variant.rag_digest:
            changes["rag_config"] = _exact(variant.rag_config, variant.rag_digest)
        if isinstance(spec.tool_config, str | Draft) and variant.tool_config and variant.tools_digest:
            changes["tool_config"] = _exact(variant.tool_config, variant.tools_digest)
        if spec.endpoint is not None:
            changes["endpoint"] = _exact(variant.endpoint, variant.endpoint_digest)
        return msgspec.structs.replace(spec, **changes)

    specs = {candidate.id: exact(candidate) for candidate in candidates_of(asked)}
    baseline = specs.pop("baseline", None)
    again = msgspec.structs.replace(
        asked, suite=suite, candidates=[*specs.values()], matrix=None, baseline=baseline, repeats=repeats
    )
    return dict(msgspec.to_builtins(again))


def _exact(ref: str, digest: str) -> str:
    """A name with its number or digest as it is; content without a name by its whole digest."""
    return digest if ref.startswith("sha256:") else ref


def _check(matrix: Matrix, beside: int) -> None:
    count = 1
    for name in LISTS.values():
        choices = getattr(matrix, name)
        count *= len(choices) or 1
        seen: set[bytes] = set()
        for number, choice in enumerate(choices):
            encoded = msgspec.json.encode(choice, order="sorted")
            if encoded in seen:
                raise InvalidContentError.at(f"{WHOLE}/{name}/{number}", "this comes twice in the list")
            seen.add(encoded)
    if count + beside > MAX_CANDIDATES:
        also = f" beside {beside} candidates" if beside else ""
        raise InvalidContentError.at(
            WHOLE, f"{count:,} combinations{also}; a run has at most {MAX_CANDIDATES} candidates: shorten a list"
        )


def _combinations(matrix: Matrix) -> Iterable[tuple[CandidateSpec, dict[str, str]]]:
    absent: dict[str, Any] = {"rag_config": UNSET, "tool_config": UNSET, "endpoint": None, "params": {}}
    lists = []
    for part, name in LISTS.items():
        choices = getattr(matrix, name)
        given = [(part, choice, f"{WHOLE}/{name}/{number}") for number, choice in enumerate(choices)]
        lists.append(given or [(part, absent[part], f"{WHOLE}/{name}")])
    for combination in itertools.product(*lists):
        yield (
            CandidateSpec(**{part: choice for part, choice, _ in combination}),
            {part: place for part, _, place in combination},
        )
