"""The numbers of promptfoo 0.123.1 where they differ from the reference implementations, for imported suites.

Its sources: `src/assertions/{bleu,gleu,rouge,levenshtein}.ts`, and the tokenizer of js-rouge 3.2.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from evaluators.contract import Scorer, ScorerConfigError

_ORDERS = range(1, 5)
_NO_MATCH = 1e-7  # what a precision of 0 counts as

# JavaScript's white space: Python's `\s` also has the four separators U+001C to U+001F and U+0085, and lacks U+FEFF.
_SPACE = r"[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_SPACES = re.compile(f"{_SPACE}+")
_SPACE_CHARACTERS = (
    "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_BEFORE_CONTRACTIONS = [
    (re.compile(r"\.\.\.*"), " ... "),
    (re.compile(r"[:,](?![0-9])"), r" \g<0> "),
    (re.compile(r"[;@#$%&]"), r" \g<0> "),
    (re.compile(r"([^.])(?<!\b[A-Za-z]\.[A-Za-z])(\.)([\])}>' ]*)\Z", re.ASCII), r"\1 \2\3 "),
    (re.compile(r"[?!]"), r" \g<0> "),
    (re.compile(r"[\][(){}<>]"), r" \g<0> "),
    (re.compile(r"---*"), " -- "),
]
_CONTRACTIONS = [
    (re.compile(r"([^'])' "), r"\1 ' "),
    (re.compile(r"'([sSmMdD]) "), r" '\1 "),
    (re.compile(r"('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) "), r" \1 "),
] + [
    (re.compile(pattern, re.ASCII | re.IGNORECASE), r" \1 \2 ")
    for pattern in (
        r"\b(can)(not)\b",
        r"\b(d)('ye)\b",
        r"\b(gim)(me)\b",
        r"\b(gon)(na)\b",
        r"\b(got)(ta)\b",
        r"\b(lem)(me)\b",
        r"\b(more)('n)\b",
        r"\b(wan)(na) ",
        r" ('t)(is)\b",
        r" ('t)(was)\b",
    )
]


def refuse_others(scorer: Scorer, allowed: tuple[str, ...]) -> None:
    """Raises ScorerConfigError for an argument that promptfoo's definition does not have."""
    for field in msgspec.structs.fields(type(scorer)):
        if field.name in ("threshold", "negate", *allowed):
            continue
        if getattr(scorer, field.name) != field.default:
            raise ScorerConfigError(
                f"{field.name} has no effect with profile promptfoo; leave it out", f"/args/{field.encode_name}"
            )


def bleu(output: str, references: Sequence[str]) -> float:
    """promptfoo's BLEU: unlike the definition, each order takes its matches from a single reference."""
    if not output.strip(_SPACE_CHARACTERS):
        return 0.0
    found = _words(output)
    expected = [_words(each) for each in references]
    logarithms = []
    for n in _ORDERS:
        total = len(found) - n + 1
        if total <= 0:
            break
        grams = Counter(_grams(found, n))
        matches = max(_shared(grams, Counter(_grams(each, n))) for each in expected)
        logarithms.append(math.log(matches / total if matches else _NO_MATCH))
    nearest = min((abs(len(each) - len(found)), len(each)) for each in expected)[1]
    brevity = 1.0 if len(found) > nearest else math.exp(1 - nearest / len(found))
    return brevity * math.exp(math.fsum(logarithms) / len(logarithms))


def gleu(output: str, reference: str) -> float:
    """promptfoo's GLEU: lower case, words without full stops at their end."""
    found, expected = _without_stops(output), _without_stops(reference)
    if not found:
        return 0.0
    if found == expected:
        return 1.0
    matches = sum(_shared(Counter(_grams(found, n)), Counter(_grams(expected, n))) for n in _ORDERS)
    totals = [sum(max(len(each) - n + 1, 0) for n in _ORDERS) for each in (found, expected)]
    return matches / max(totals) if all(totals) else 0.0


def rouge_1(output: str, reference: str) -> tuple[int, int, int]:
    """promptfoo's `rouge-n`: shared Penn Treebank tokens in lower case, and how many each text has."""
    found, expected = treebank(output.lower()), treebank(reference.lower())
    return _shared(Counter(found), Counter(expected)), len(found), len(expected)


def meteor_words(text: str) -> list[str]:
    """promptfoo's words for METEOR; white space at the ends makes an empty word there."""
    return [word.rstrip(".") for word in _SPACES.split(text)] if text else []


def utf16(text: str) -> str:
    """A text with a character for each of JavaScript's code units, which its distances count."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))


def treebank(text: str) -> list[str]:
    """js-rouge's `treeBankTokenize` of a text."""
    text = _SPACES.sub(" ", text.strip(_SPACE_CHARACTERS))
    if not text:
        return []
    text = _with_quotes(text)
    for pattern, replacement in _BEFORE_CONTRACTIONS:
        text = pattern.sub(replacement, text)
    text = f" {text} "
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    return [token for token in text.split(" ") if token]


def _with_quotes(text: str) -> str:
    """A double quote opens at the start, after a space or an opening bracket, unless one is open already."""
    parts = text.split('"')
    built, is_open = parts[0], False
    before = parts[0][-1:]
    for part in parts[1:]:
        is_open = not is_open and before in ("", " ", "(", "[", "{", "<")
        built += (" `` " if is_open else " '' ") + part
        before = part[-1:] or '"'
    return built


def _words(text: str) -> list[str]:
    return _SPACES.split(text.lower().strip(_SPACE_CHARACTERS))


def _without_stops(text: str) -> list[str]:
    words = [word.rstrip(".") for word in _words(text)]
    return words if any(words) else []


def _grams(words: list[str], n: int) -> list[str]:
    # Joined as promptfoo joins them.
    return words if n == 1 else [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]


def _shared(left: Counter[str], right: Counter[str]) -> int:
    return sum([min(left[gram], right[gram]) for gram in left.keys() & right.keys()])
