"""Judging by rubric: lexical support of a fenced answer, turned into the label or score that the schema asks for.

Only the words of the answer are compared; what it says is never read as an instruction.
"""

import re
from typing import Any

import msgspec

from app.devmodel import text as words_of
from app.devmodel.schema import Schema, instance

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{6,}[A-Za-z0-9]")
_WORD = re.compile(r"\w+")
_TAGGED = re.compile(r"<(answer|output|response|completion)>(.*)</\1>", re.IGNORECASE | re.DOTALL)
_SECTION = re.compile(
    r"^[ \t]*(?:[#*>-]+[ \t]*)?(?:the )?((?:reference|expected|correct|gold|ideal|model|candidate)?[ \t]*"
    r"(?:references?|expected|gold|answers?(?: to judge| to grade)?|output|response|context|documentation|passages?|sources?"
    r"|evidence|question|input|query))\b[^:\n]{0,40}:(?:\*\*)?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_PARTS = (
    ("reference", re.compile(r"\b(?:references?|expected|gold|correct answers?|ideal)\b")),
    ("answer", re.compile(r"\b(?:answers?|output|response|completion|candidate)\b")),
    ("context", re.compile(r"\b(?:context|documentation|documents?|passages?|sources?|evidence)\b")),
    ("question", re.compile(r"\b(?:question|input|query)\b")),
)
_ABSTAINS = re.compile(
    r"\bnot (?:in|covered|documented|mentioned|described|stated|part of|answered)\b|\bdo(?:es)?(?: not|n't) (?:say|know|mention|cover)"
    r"|\bcannot (?:find|answer)\b|\bno (?:information|answer|mention)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|never|cannot|no|none|nothing|without|refuses?|refused)\b|n't\b", re.IGNORECASE)
_GROUNDED = re.compile(r"\b(?:grounded|groundedness|faithful|faithfulness|hallucinat\w+|supported by the (?:context|passages?))\b", re.I)
_SCALE = re.compile(r"\b(?:from|between|scale of)\s+(-?\d+(?:\.\d+)?)\s*(?:to|and|-|–)\s*(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_STATED = re.compile(r"""^[ \t]*[-*]?[ \t]*["'`*]*([a-z][\w -]{0,30}?)["'`*]*[ \t]*[:=(][ \t]*(-?\d+(?:\.\d+)?)\b""", re.I | re.M)

_REASONS = re.compile(r"reason|explanation|rationale|justification|analysis|thinking|comment|why", re.IGNORECASE)
_SCORES = re.compile(r"score|rating|grade|points|value|verdict", re.IGNORECASE)
_PASSES = re.compile(r"pass|verdict|correct|ok|met|grounded|faithful|valid|supported", re.IGNORECASE)
_NO_VERDICT = frozenset("unknown unclear cannot_judge cannot_tell not_applicable n/a na skip unscored".split())
_GOOD = frozenset("correct yes pass passed good true right faithful supported grounded complete relevant excellent full ok".split())
_BAD = frozenset("incorrect no fail failed bad false wrong unfaithful unsupported ungrounded irrelevant poor none missing".split())

# Support at and below the first counts as 0, at and above the second as 1: references are seldom met word for word.
_FLOOR, _CEILING = 0.25, 0.7


class Case(msgspec.Struct, frozen=True):
    """What a judge's prompt holds."""

    answer: str
    instructions: str
    reference: str = ""
    context: str = ""
    question: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """`quality` in [0, 1], and why."""

    quality: float
    reason: str


def case_of(texts: list[str]) -> Case | None:
    """Find the answer to judge and what to judge it by in the texts of a prompt; None when there is no answer."""
    whole = "\n".join(texts)
    blocks, outside = _fenced(whole)
    if not blocks:
        tagged = _TAGGED.search(whole)
        if tagged:
            blocks, outside = {"answer": tagged[2]}, whole[: tagged.start()] + "\n" + whole[tagged.end() :]
    sections = _sections(outside)
    if "answer" not in blocks:
        if blocks or "answer" not in sections:
            return None
        blocks = {"answer": sections["answer"]}
    found = {**sections, **blocks}
    return Case(
        answer=blocks["answer"].strip(),
        instructions=outside,
        reference=found.get("reference", "").strip(),
        context=found.get("context", "").strip(),
        question=found.get("question", "").strip(),
    )


def _fenced(text: str) -> tuple[dict[str, str], str]:
    """The blocks between lines that hold the stated token, by what they are, and the text outside of them."""
    lines = text.split("\n")
    token = _fence_token(lines)
    if token is None:
        return {}, text
    named: dict[str, str] = {}
    outside: list[str] = []
    block: list[str] | None = None
    kind = ""
    for line in lines:
        if _is_fence(line, token):
            if block is None:
                before = next((one for one in reversed(outside) if one.strip()), "")
                kind, block = _part(line.replace(token, "")) or _part(before) or "answer", []
            else:
                named[kind] = "\n".join(block)
                block = None
        elif block is None:
            outside.append(line)
        else:
            block.append(line)
    if block is not None:
        named[kind] = "\n".join(block)
    if len(named) == 1:
        named = {"answer": next(iter(named.values()))}
    return named, "\n".join(outside)


def _fence_token(lines: list[str]) -> str | None:
    """The token of the fence: of all tokens that stand on two lines of their own, one that was stated before any of them.

    What comes after the first fence line may be the answer's own doing, so that a token stated there counts for nothing;
    when none was stated the first wins, for the same reason.
    """
    stated: set[str] = set()
    for place, line in enumerate(lines):
        tokens = [one for one in _TOKEN.findall(line) if any(sign.isdigit() for sign in one)]
        for token in tokens:
            if _is_fence(line, token) and any(_is_fence(one, token) for one in lines[place + 1 :]):
                if token in stated:
                    return token
                later = (one for one in stated if sum(_is_fence(line, one) for line in lines[place:]) >= 2)
                return next(later, token)
        stated.update(tokens)
    return None


def _is_fence(line: str, token: str) -> bool:
    """Whether a line is the token with at most a few marks and one or two words around it."""
    if token not in line:
        return False
    rest = line.replace(token, " ", 1)
    return len(rest.strip()) <= 24 and ":" not in rest and len(_WORD.findall(rest)) <= 2


def _part(text: str) -> str | None:
    lowered = text.lower()
    return next((name for name, sign in _PARTS if sign.search(lowered)), None)


def _sections(text: str) -> dict[str, str]:
    """Texts behind headings at the start of a line, such as `Reference:`; the last of a kind counts."""
    marks = list(_SECTION.finditer(text))
    ends = [one.start() for one in marks[1:]] + [len(text)]
    found: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        body = text[mark.end() : end].strip()
        if body and (name := _part(mark[1])):
            found[name] = body
    return found


def judge(case: Case, model: str) -> Judgement:
    """Quality of the answer by lexical support."""
    if case.reference and not (case.context and _GROUNDED.search(case.instructions)):
        alternatives = _alternatives(case.reference)
        support, missing = max((_by_reference(case.answer, one, model) for one in alternatives), key=lambda one: one[0])
        by = "reference"
    elif case.context:
        support, missing = _by_context(case)
        by = "context"
    else:
        support, missing = _recall(words_of.stems(case.answer), words_of.stems(case.question or case.instructions))
        by = "question"
    quality = min(1.0, max(0.0, (support - _FLOOR) / (_CEILING - _FLOOR)))
    lacks = f"; lacking: {', '.join(missing[:6])}" if missing else ""
    return Judgement(quality, f"Word overlap with the {by} is {support:.2f}{lacks}. (Counted, not understood.)")


def _alternatives(reference: str) -> list[str]:
    try:
        listed = msgspec.json.decode(reference, type=list[str | int | float])
    except msgspec.DecodeError:
        return [reference]
    return [str(one) for one in listed] or [reference]


def _by_reference(answer: str, reference: str, model: str) -> tuple[float, list[str]]:
    """Recall of the reference's words; numbers count double, and a number or a denial that differs costs."""
    if model == "dev-small":
        wanted = words_of.plain_words(reference)
        missing = sorted(wanted - words_of.plain_words(answer))
        return 1 - len(missing) / max(1, len(wanted)), missing
    if bool(_ABSTAINS.search(answer)) and bool(_ABSTAINS.search(reference)) and len(answer) < 200:
        return 1.0, []
    given, wanted_stems = words_of.stems(answer), words_of.stems(reference)
    if not wanted_stems:
        return (1.0 if reference.strip().lower() in answer.lower() else 0.0), []
    support, lacking = _recall(given, wanted_stems)
    if any(one.isdigit() for one in lacking):
        support *= 0.6
    nearest = max(words_of.sentences(answer) or [answer], key=lambda one: _recall(words_of.stems(one), wanted_stems)[0])
    if bool(_DENIAL.search(nearest)) != bool(_DENIAL.search(reference)):
        support *= 0.75
    return support, lacking


def _by_context(case: Case) -> tuple[float, list[str]]:
    """The mean share of each sentence's words that the context holds; an abstention is right when the question's are absent."""
    known = words_of.stems(case.context)
    if _ABSTAINS.search(case.answer) and len(case.answer) < 200:
        asked, _ = _recall(known, words_of.stems(case.question))
        return 1 - asked, []
    shares = [_recall(known, words_of.stems(one)) for one in words_of.sentences(case.answer)]
    if not shares:
        return 0.0, []
    return sum(one for one, _ in shares) / len(shares), [word for _, words in shares for word in words]


def _recall(given: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[float, list[str]]:
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
    scores = _stated_scores(usable, instructions) or _known_scores(usable)
    return min(usable, key=lambda one: (abs(scores[str(one)] - quality), scores[str(one)]))


def _stated_scores(labels: list[Any], instructions: str) -> dict[str, float] | None:
    """Scores that the instructions state for every label, spread over [0, 1]; None unless they do."""
    if all(isinstance(one, int | float) for one in labels):
        return _spread({str(one): float(one) for one in labels})
    stated: dict[str, float] = {}
    for label in map(str, labels):
        sign = rf"""(?<![\w-])["'`*]*{re.escape(label)}["'`*]*[ \t]*(?:[:=(→]|->)[ \t]*\(?[ \t]*(-?\d+(?:\.\d+)?)\b"""
        found = re.search(r"^[ \t]*(?:[-*][ \t]*)?" + sign, instructions, re.I | re.M) or re.search(sign, instructions, re.I)
        if found is None:
            return None
        stated[label] = float(found[1])
    return _spread(stated)


def _known_scores(labels: list[Any]) -> dict[str, float]:
    """Best first, unless the first is a word for bad or the last a word for good."""
    ordered = [str(one) for one in labels]
    first, last = ordered[0].lower(), ordered[-1].lower()
    if (first in _BAD and last not in _BAD) or (last in _GOOD and first not in _GOOD):
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
