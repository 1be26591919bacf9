"""Judging by rubric: lexical support of a fenced answer, turned into the label or score that the schema asks for.

Only the words of the answer are compared; what it says is never read as an instruction.
"""

import re
from typing import Any

import msgspec

from app.devmodel import text as words_of
from app.devmodel.case import Case
from app.devmodel.scalars import Schema
from app.devmodel.schema import instance

ABSTAINS = re.compile(
    r"\bnot (?:in|covered|documented|mentioned|described|stated|part of|answered)\b"
    r"|\bdo(?:es)?(?: not|n't) (?:say|know|mention|cover)|\bcannot (?:find|answer)\b|\bno (?:information|answer|mention)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|never|cannot|no|none|nothing|without|refuses?|refused)\b|n't\b", re.IGNORECASE)
_GROUNDED = re.compile(
    r"\b(?:grounded|groundedness|faithful|faithfulness|hallucinat\w+|supported by the (?:context|passages?))\b",
    re.IGNORECASE,
)
_SCALE = re.compile(
    r"\b(?:from|between|scale of)\s+(-?\d+(?:\.\d+)?)\s*(?:to|and|-|–)\s*(-?\d+(?:\.\d+)?)", re.IGNORECASE
)
_STATED = re.compile(
    r"""^[ \t]*[-*]?[ \t]*["'`*]*([a-z][\w -]{0,30}?)["'`*]*[ \t]*[:=(][ \t]*(-?\d+(?:\.\d+)?)\b""",
    re.IGNORECASE | re.MULTILINE,
)
_REASONS = re.compile(r"reason|explanation|rationale|justification|analysis|thinking|comment|why", re.IGNORECASE)
_SCORES = re.compile(r"score|rating|grade|points|value|verdict", re.IGNORECASE)
_PASSES = re.compile(r"pass|verdict|correct|ok|met|grounded|faithful|valid|supported", re.IGNORECASE)
_NO_VERDICT = frozenset(
    ["unknown", "unclear", "cannot_judge", "cannot_tell", "not_applicable", "n/a", "na", "skip", "unscored"]
)
_GOOD = frozenset(
    [
        "correct",
        "yes",
        "pass",
        "passed",
        "good",
        "true",
        "right",
        "faithful",
        "supported",
        "grounded",
        "complete",
        "relevant",
        "excellent",
        "full",
        "ok",
    ]
)
_BAD = frozenset(
    [
        "incorrect",
        "no",
        "fail",
        "failed",
        "bad",
        "false",
        "wrong",
        "unfaithful",
        "unsupported",
        "ungrounded",
        "irrelevant",
        "poor",
        "none",
        "missing",
    ]
)

# Support at and below the first counts as 0, at and above the second as 1: references are seldom met word for word.
_FLOOR, _CEILING = 0.25, 0.7


class Judgement(msgspec.Struct, frozen=True):
    """`quality` in [0, 1], and why."""

    quality: float
    reason: str


def judge(case: Case, model: str) -> Judgement:
    """Quality of the answer by lexical support."""
    if case.reference and not (case.context and _GROUNDED.search(case.instructions)):
        options = alternatives(case.reference)
        support, missing = max((by_reference(case.answer, one, model) for one in options), key=lambda one: one[0])
        by = "reference"
    elif case.context:
        support, missing = _by_context(case)
        by = "context"
    else:
        support, missing = recall(words_of.stems(case.answer), words_of.stems(case.question or case.instructions))
        by = "question"
    quality = quality_of(support)
    lacks = f"; lacking: {', '.join(missing[:6])}" if missing else ""
    return Judgement(quality, f"Word overlap with the {by} is {support:.2f}{lacks}. (Counted, not understood.)")


def quality_of(support: float) -> float:
    """Support as quality in [0, 1]."""
    return min(1.0, max(0.0, (support - _FLOOR) / (_CEILING - _FLOOR)))


def alternatives(reference: str) -> list[str]:
    try:
        listed = msgspec.json.decode(reference, type=list[str | int | float])
    except msgspec.DecodeError:
        return [reference]
    return [str(one) for one in listed] or [reference]


def by_reference(answer: str, reference: str, model: str) -> tuple[float, list[str]]:
    """Recall of the reference's words; numbers count double, and a number or a denial that differs costs."""
    if model == "dev-small":
        wanted = words_of.plain_words(reference)
        missing = sorted(wanted - words_of.plain_words(answer))
        return 1 - len(missing) / max(1, len(wanted)), missing
    if bool(ABSTAINS.search(answer)) and bool(ABSTAINS.search(reference)) and len(answer) < 200:
        return 1.0, []
    given, wanted_stems = words_of.stems(answer), words_of.stems(reference)
    if not wanted_stems:
        return (1.0 if reference.strip().lower() in answer.lower() else 0.0), []
    support, lacking = recall(given, wanted_stems)
    if any(one.isdigit() for one in lacking):
        support *= 0.6
    nearest = max(words_of.sentences(answer) or [answer], key=lambda one: recall(words_of.stems(one), wanted_stems)[0])
    if bool(_DENIAL.search(nearest)) != bool(_DENIAL.search(reference)):
        support *= 0.6
    return support, lacking


def _by_context(case: Case) -> tuple[float, list[str]]:
    """Mean share of each sentence's words that the context holds; an abstention is right when the question's are absent."""
    known = words_of.stems(case.context)
    if ABSTAINS.search(case.answer) and len(case.answer) < 200:
        asked, _ = recall(known, words_of.stems(case.question))
        return 1 - asked, []
    shares = [recall(known, words_of.stems(one)) for one in words_of.sentences(case.answer)]
    if not shares:
        return 0.0, []
    return sum(one for one, _ in shares) / len(shares), [word for _, words in shares for word in words]


def recall(given: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[float, list[str]]:
    """Share of the wanted stems that were given (numbers count double), and those that were not."""
    have = frozenset(given)
    weights = {one: 2.0 if one.isdigit() else 1.0 for one in wanted}
    missing = [one for one in weights if one not in have]
    total = sum(weights.values())
    return (1 - sum(weights[one] for one in missing) / total if total else 0.0), missing


def is_rubric(schema: Any) -> bool:
    """Whether a schema asks for a reason together with a label, a score or a pass."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return False
    reasons = [name for name in properties if _REASONS.search(name)]
    return bool(reasons) and any(
        _is_verdict(name, sub) for name, sub in properties.items() if isinstance(sub, dict) and name not in reasons
    )


def _is_verdict(name: str, schema: Schema) -> bool:
    if "enum" in schema:
        return True
    kind = schema.get("type")
    return (kind in ("number", "integer") and bool(_SCORES.search(name))) or (
        kind == "boolean" and bool(_PASSES.search(name))
    )


def judged_instance(schema: Schema, case: Case, model: str) -> Any:
    """A valid instance of a rubric-shaped schema that says how good the answer is."""
    judgement = judge(case, model)

    def suggest(name: str, part: Schema) -> Any:
        if "enum" in part:
            return label_for(judgement.quality, list(part["enum"]), case.instructions)
        if part.get("type") in ("number", "integer") and _SCORES.search(name):
            return _scaled(judgement.quality, part, case.instructions)
        if part.get("type") == "boolean" and _PASSES.search(name):
            return judgement.quality >= 0.5
        return judgement.reason if _REASONS.search(name) else None

    return instance(schema, suggest)


def judged_object(case: Case, model: str) -> dict[str, Any]:
    """The same without a schema: reason, score in [0, 1] (or the stated scale), and a label when labels are stated."""
    judgement = judge(case, model)
    labels = [name.strip() for name, _ in _STATED.findall(case.instructions)]
    said: dict[str, Any] = {"reason": judgement.reason}
    if len(labels) > 1:
        said["label"] = label_for(judgement.quality, list(dict.fromkeys(labels)), case.instructions)
    return {**said, "score": _scaled(judgement.quality, {"type": "number"}, case.instructions)}


def label_for(quality: float, labels: list[Any], instructions: str) -> Any:
    """The label nearest to a quality; their order comes from stated scores, known opposites, else from the list."""
    usable = [one for one in labels if str(one).lower() not in _NO_VERDICT] or labels
    scores = _stated_scores(usable, instructions) or _known_scores(usable, instructions)
    return min(usable, key=lambda one: (abs(scores[str(one)] - quality), scores[str(one)]))


def _stated_scores(labels: list[Any], instructions: str) -> dict[str, float] | None:
    """Scores that the instructions state for every label, spread over [0, 1]; None unless they do."""
    if all(isinstance(one, int | float) for one in labels):
        return _spread({str(one): float(one) for one in labels})
    stated: dict[str, float] = {}
    for label in map(str, labels):
        sign = rf"""(?<![\w-])["'`*]*{re.escape(label)}["'`*]*[ \t]*(?:[:=(→]|->)[ \t]*\(?[ \t]*(-?\d+(?:\.\d+)?)\b"""
        found = re.search(r"^[ \t]*(?:[-*][ \t]*)?" + sign, instructions, re.IGNORECASE | re.MULTILINE) or re.search(
            sign, instructions, re.IGNORECASE
        )
        if found is None:
            return None
        stated[label] = float(found[1])
    return _spread(stated)


def _known_scores(labels: list[Any], instructions: str) -> dict[str, float]:
    """Best first, unless nothing says so and the first is a word for bad, or the last a word for good."""
    ordered = [str(one) for one in labels]
    first, last = ordered[0].lower(), ordered[-1].lower()
    said = "best first" in instructions
    if not said and ((first in _BAD and last not in _BAD) or (last in _GOOD and first not in _GOOD)):
        ordered.reverse()
    return {one: 1 - place / max(1, len(ordered) - 1) for place, one in enumerate(ordered)}


def _spread(scores: dict[str, float]) -> dict[str, float] | None:
    low, high = min(scores.values()), max(scores.values())
    return {name: (score - low) / (high - low) for name, score in scores.items()} if high > low else None


def _scaled(quality: float, schema: Schema, instructions: str) -> int | float:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        stated = _SCALE.search(instructions)
        low, high = (float(stated[1]), float(stated[2])) if stated else (0.0, 1.0)
    score = low + quality * (high - low)
    return round(score) if schema.get("type") == "integer" else round(score, 2)
