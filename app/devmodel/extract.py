"""Answering from the context: rank its sentences by overlap with the question, then say the best as the style asks."""

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import log

import msgspec

from app.devmodel import text as words_of
from app.devmodel.reading import Passage, Reading
from app.devmodel.style import Style
from app.devmodel.text import Unit

NO_CONTEXT = "There is no context to answer from. (The development model only repeats sentences of its prompt.)"

# Below this support an answer is taken to be absent. Set on the question and passage pairs of the tests.
_THRESHOLD = {"dev-large": 0.3, "dev-small": 0.22}
_STRICT_THRESHOLD = 0.42

_YES_NO = re.compile(
    r"(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|may|must|am|isn't|doesn't|can't)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:not|never|cannot|no|none|nothing|without|refuses?|refused|nor|neither)\b|n't\b", re.IGNORECASE
)
_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred|zero|once|twice)\b", re.IGNORECASE
)
_REASON = re.compile(
    r"\b(?:because|so that|since|otherwise|therefore|hence|in order to|reason|else|would)\b", re.IGNORECASE
)
_PLACE = re.compile(r"[`/\\]|\b(?:in|under|beside|at|folder|directory|file)\b", re.IGNORECASE)
_TIME = re.compile(r"\b(?:when|after|before|once|until|while|every|each|as soon as|at start|on)\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][A-Za-z0-9]+|\b\w*\d\w*\b|`([^`]+)`|\b[a-z]+_[a-z_]+\b|\b[A-Z]{2,}\b")

_KINDS: tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...] = (
    (
        re.compile(
            r"^(?:how (?:many|much|long|often|large|big|fast|old)|which (?:port|number|version|year))\b|\bpercent"
        ),
        _DIGIT,
    ),
    (re.compile(r"^(?:where|in which (?:file|folder))\b"), _PLACE),
    (re.compile(r"^(?:why|for what reason)\b|^what is the reason"), _REASON),
    (re.compile(r"^when\b"), _TIME),
)
_HOW_TO = re.compile(
    r"\b(?:how (?:do|can|should|would|to)|(?:which|what) (?:command|flag|option|variable|setting)|command)\b"
)
_DEFINITION = re.compile(r"^what (?:is|are|does) (?:an? |the )?([\w -]+?)(?: mean| stand for)?\??$")


class Line(msgspec.Struct, frozen=True, gc=False):
    """A unit of a passage with all that ranking wants to know about it."""

    unit: Unit
    order: int
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    around: frozenset[str]
    plain_words: frozenset[str]
    length: int


class Candidate(msgspec.Struct):
    """A line in its passage, with its score for this question and its support (share of the question it covers)."""

    line: Line
    passage: Passage
    place: int
    score: float
    support: float
    covered: frozenset[str] = frozenset()


@lru_cache(maxsize=2_048)
def lines_of(title: str, text: str) -> tuple[Line, ...]:
    """A passage's units, ready to rank; `around` are the stems of the title, the lead and the line before."""
    found: list[Line] = []
    heading = frozenset(words_of.stems(title))
    before: frozenset[str] = frozenset()
    for order, unit in enumerate(words_of.units(text)):
        ordered = words_of.stems(f"{unit.text} {unit.code}" if unit.code else unit.text)
        own = frozenset(ordered)
        seen = words_of.words(unit.text)
        found.append(
            Line(
                unit=unit,
                order=order,
                stems=own,
                pairs=frozenset(pairwise(ordered)),
                around=(heading | before | frozenset(words_of.stems(unit.lead))) - own,
                plain_words=words_of.plain_words(unit.text),
                length=len(seen),
            )
        )
        before = own
    return tuple(found)


def answer(reading: Reading, style: Style, model: str, *, seed: int = 0, temperature: float = 0.0) -> str:
    """The extractive answer of `dev-large` or `dev-small` to a prompt that has been read."""
    if not reading.passages:
        return style.abstention or NO_CONTEXT
    ranked = (_rank_small if model == "dev-small" else _rank_large)(reading, style)
    if not ranked:
        return style.abstention or NO_CONTEXT
    if temperature > 0:
        for one in ranked:
            one.score += 0.2 * temperature * (_noise(seed, one.line.unit.text) - 0.5)
    ranked.sort(key=lambda one: -one.score)
    if style.abstention is not None:
        strict = style.strict and model != "dev-small"
        if max(one.support for one in ranked[:3]) < (_STRICT_THRESHOLD if strict else _THRESHOLD[model]):
            return style.abstention
    chosen = _choose(ranked, style.sentences, residual=model != "dev-small")
    return _say(reading.question, chosen, style)


def _rank_small(reading: Reading, style: Style) -> list[Candidate]:
    """Count the equal words; what comes first wins among equals."""
    asked = words_of.plain_words(reading.question)
    found: list[Candidate] = []
    for place, passage in enumerate(reading.passages):
        for line in lines_of(passage.title, passage.text):
            if line.unit.text or style.code:
                share = len(asked & line.plain_words) / max(1, len(asked))
                found.append(Candidate(line, passage, place, share, share))
    return found


def _rank_large(reading: Reading, style: Style) -> list[Candidate]:
    """IDF-weighted overlap of stems, with what stands around a line, word pairs and the kind of question."""
    placed = [
        (place, passage, line)
        for place, passage in enumerate(reading.passages)
        for line in lines_of(passage.title, passage.text)
        if line.unit.text or style.code
    ]
    weights, total = _weights(reading, placed)
    asked = list(weights)
    pairs = set(pairwise(asked))
    prefers = _preference(reading.question, style)
    found: list[Candidate] = []
    for place, passage, line in placed:
        own = weights.keys() & line.stems
        around = weights.keys() & line.around
        support = (sum(weights[one] for one in own) + 0.5 * sum(weights[one] for one in around)) / total
        score = support + 0.06 * len(pairs & line.pairs)
        if own:
            score += prefers(line) + 0.1 * len(own) / len(line.stems)
        score /= 1 + 0.006 * max(0, line.length - 20)
        if line.unit.text.endswith("?"):
            score *= 0.3
        elif line.length < 4 and not line.unit.code:
            score *= 0.7
        found.append(Candidate(line, passage, place, score - 0.004 * place, support, frozenset(own)))
    return found


def _weights(reading: Reading, placed: list[tuple[int, Passage, Line]]) -> tuple[dict[str, float], float]:
    """IDF of the question's stems over this context, and their sum as the measure of full support.

    A stem that the context lacks is replaced by one with the same first letters, if there is one; else it keeps its full
    weight in the sum, more when it is a name: that is what makes an absent answer noticeable.
    """
    frequency: Counter[str] = Counter()
    vocabulary: set[str] = set()
    for _, _, line in placed:
        frequency.update(line.stems)
        vocabulary |= line.around
    vocabulary.update(frequency)
    asked = dict.fromkeys(words_of.stems(reading.question), 1.0)
    if len(asked) <= 2 and reading.before:
        for one in words_of.stems(reading.before):
            asked.setdefault(one, 0.5)
    names = {one for match in _NAME.finditer(reading.question) for one in words_of.stems(match[1] or match[0])}
    count = len(placed)
    weights: dict[str, float] = {}
    total = 0.0
    for one, share in asked.items():
        known = one if one in vocabulary else _relative(one, vocabulary)
        seen = frequency[known] if known else 0
        weight = share * log(1 + (count - seen + 0.5) / (seen + 0.5))
        if known:
            weights[known] = weights.get(known, 0.0) + weight
            total += weight
        else:
            total += weight * (1.6 if one in names else 1.0)
    return weights, total or 1.0


def _relative(stem: str, vocabulary: set[str]) -> str | None:
    """A word of the context that begins alike ("configur" and "config"): the longest common beginning, at least five."""
    if len(stem) < 5:
        return None
    alike = [one for one in vocabulary if len(one) >= 5 and (one.startswith(stem[:6]) or stem.startswith(one))]
    return max(alike, key=lambda one: (-abs(len(one) - len(stem)), one), default=None)


def _preference(question: str, style: Style) -> Callable[[Line], float]:
    """What a line gains by being of the kind that was asked for."""
    asked = question.lower().strip()
    wanted = next((shape for kind, shape in _KINDS if kind.search(asked)), None)
    how_to = style.code and bool(_HOW_TO.search(asked))
    defined = _DEFINITION.match(asked)
    subject = words_of.stems(defined[1])[:2] if defined else ()

    def gain(line: Line) -> float:
        text = line.unit.text
        extra = 0.1 if wanted is not None and wanted.search(text) else 0.0
        if how_to and (line.unit.code or "`" in text):
            extra += 0.2
        if subject and words_of.stems(text)[: len(subject)] == subject:
            extra += 0.12
        return extra

    return gain


def _choose(ranked: list[Candidate], most: int, *, residual: bool) -> list[Candidate]:
    """The best line, then lines that are worth adding; in reading order, the best one's passage first."""
    best = ranked[0]
    chosen = [best]
    covered = set(best.covered)
    rest = [one for one in ranked[1:40] if one.score > 0 and one.score >= 0.3 * best.score and one.line.length >= 3]
    while rest and len(chosen) < most:
        if residual:
            last = chosen[-1]
            following = rest.pop(max(range(len(rest)), key=lambda i: _worth(rest[i], last, covered)))
        else:
            following = rest.pop(0)
        if any(following.line.unit.text in one.line.unit.text for one in chosen):
            continue
        chosen.append(following)
        covered |= following.covered
    return sorted(chosen, key=lambda one: (one.place != best.place, one.place, one.line.order))


def _worth(one: Candidate, last: Candidate, covered: set[str]) -> float:
    """A further line is worth its score, less what is said already, more when it goes on where the last one ended."""
    repeated = len(one.covered & covered) / max(1, len(one.covered))
    goes_on = one.place == last.place and one.line.order == last.line.order + 1
    return one.score * (1 - 0.4 * repeated) + (0.15 if goes_on else 0.0)


def _say(question: str, chosen: list[Candidate], style: Style) -> str:
    said = [_sentence(one, style) for one in chosen]
    if style.words is not None:
        said = _limit(said, style.words)
    if style.cite:
        said = [_cited(one, candidate.passage) for one, candidate in zip(said, chosen, strict=False)]
    text = "\n".join(f"- {one}" for one in said) if style.bullets else " ".join(said)
    if style.yes_no and _YES_NO.match(question.strip()):
        best = max(chosen, key=lambda one: one.score)
        denies = bool(_DENIAL.search(best.line.unit.text)) != bool(_DENIAL.search(question))
        text = ("No. " if denies else "Yes. ") + text
    return text


def _sentence(one: Candidate, style: Style) -> str:
    unit = one.line.unit
    if style.own_words:
        return _own_words(unit.text or unit.code)
    text = unit.text
    if unit.code and style.code:
        code = f"`{unit.code.strip()}`" if "\n" not in unit.code else f"\n```\n{unit.code}\n```"
        return f"{text} {code}".strip()
    if text.endswith(":"):
        return text[:-1] + "."
    return text if text.endswith((".", "!", "?", ".)", '."', ".”")) else text + "."


def _own_words(text: str) -> str:
    """A deliberately poor paraphrase: clauses swapped, marks and brackets dropped, cut short."""
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]|[`*\"]", "", text).rstrip(".:!? ")
    first, comma, rest = text.partition(", ")
    if comma:
        text = f"{rest}, {first}"
    kept = text.split()[:18]
    return " ".join(kept).rstrip(",;:") + "."


def _limit(said: list[str], most: int) -> list[str]:
    """Keep the first `most` words."""
    kept: list[str] = []
    for one in said:
        room = most - sum(len(text.split()) for text in kept)
        if room <= 0:
            break
        parts = one.split()
        kept.append(one if len(parts) <= room else " ".join(parts[:room]).rstrip(",;:"))
    return kept


def _cited(text: str, passage: Passage) -> str:
    if passage.number is not None:
        return f"{text} [{passage.number}]"
    return f"{text} ({passage.title})" if passage.title else text


def _noise(seed: int, text: str) -> float:
    """A number in [0, 1) that depends on seed and text alone."""
    return int.from_bytes(blake2b(f"{seed}:{text}".encode(), digest_size=6).digest()) / 2**48
