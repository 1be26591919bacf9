"""What the instructions of a prompt decide. The table in the package's docstring is this module in words."""

import re
from functools import lru_cache

import msgspec

_NUMBERS = {"one": 1, "a single": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NUMBERS |= {"a few": 3, "few": 3, "several": 4}
_SENTENCES = re.compile(
    r"\b(a single|single|a few|few|several|one|two|three|four|five|six|[1-9])\s+(?:\w+\s+)?sentences?\b"
)
_SHORT = re.compile(r"\b(?:briefly|concise|concisely|short answers?)\b")
_LONG = re.compile(r"\b(?:in detail|detailed|thorough|thoroughly|complete answers?)\b")
_WORD_LIMIT = re.compile(
    r"\b(?:at most|under|no more than|up to)\s+(\d+)\s+words\b|\b(\d+)\s+words\s+or\s+(?:fewer|less)\b"
)
_CITE = re.compile(
    r"\bcite\b|\bciting\b|\b(?:quot(?:e|ing)|nam(?:e|ing)|giv(?:e|ing)) (?:the|your|its) sources?\b|\[n\]"
)
_ABSTAIN = re.compile(
    r"say so (?:when|if)|(?:if|when|whenever) (?:it|the (?:answer|context|documentation|text|information|passages?))"
    r"[^.]{0,40}(?:\bnot\b|n't|\bno\b|lacks?|missing)"
    r"|(?:if|when) you (?:do not|don't|cannot|can't) (?:know|find|answer)"
)
_STRICT = re.compile(r"\b(?:do not|don't|never) guess\b|\bonly (?:if|when) (?:you are )?(?:sure|certain)\b")
_PHRASE = re.compile(r"[\"“]([^\"”\n]{2,200})[\"”]")
_YES_NO = re.compile(r"\byes or no\b")
_BULLETS = re.compile(r"\bbullets?\b|\bbullet points?\b|\bas a list\b|\blist the\b")
_CODE = re.compile(
    r"\bcopy (?:the )?commands?\b|\b(?:commands?|code) exactly\b|\bexact commands?\b|\bcommands? and code exactly\b"
)
_OWN_WORDS = re.compile(r"\b(?:in your own words|paraphrase|rephrase)\b")

ABSTENTION = "That is not in the documentation."


class Style(msgspec.Struct, frozen=True):
    """How to answer; `abstention` is None when nothing allows to say that the answer is not there."""

    sentences: int = 2
    words: int | None = None
    cite: bool = False
    abstention: str | None = None
    strict: bool = False
    yes_no: bool = False
    bullets: bool = False
    code: bool = False
    own_words: bool = False


@lru_cache(maxsize=512)
def style_of(instructions: str) -> Style:
    """Read the switches out of a prompt's instructions."""
    text = " ".join(instructions.lower().replace("’", "'").split())
    bullets = bool(_BULLETS.search(text))
    if number := _SENTENCES.search(text):
        sentences = _NUMBERS.get(number[1]) or int(number[1])
    elif _SHORT.search(text):
        sentences = 1
    elif _LONG.search(text):
        sentences = 4
    else:
        sentences = 3 if bullets else 2
    limit = _WORD_LIMIT.search(text)
    strict = bool(_STRICT.search(text))
    return Style(
        sentences=sentences,
        words=int(limit[1] or limit[2]) if limit else None,
        cite=bool(_CITE.search(text)),
        abstention=_abstention(" ".join(instructions.replace("’", "'").split()), strict),
        strict=strict,
        yes_no=bool(_YES_NO.search(text)),
        bullets=bullets,
        code=bool(_CODE.search(text)),
        own_words=bool(_OWN_WORDS.search(text)),
    )


def _abstention(instructions: str, strict: bool) -> str | None:
    sign = _ABSTAIN.search(instructions.lower())
    if sign is None:
        return ABSTENTION if strict else None
    phrase = _PHRASE.search(instructions, sign.start(), min(len(instructions), sign.end() + 200))
    return phrase[1] if phrase else ABSTENTION
