"""promptfoo's assertions that ask no model, as scorers with the meaning that promptfoo 0.123 gives them."""

import re
from collections.abc import Callable
from typing import Any

from app.formats.promptfoo import documents, tools
from app.formats.promptfoo.lists import CannotMapError
from app.formats.promptfoo.meaning import PROFILE, Asked, Meant
from app.formats.promptfoo.values import bounds_of, text_of, texts_of

_UNICODE = re.compile(r"\\u([0-9A-Fa-f]{4})")
# Flags within the pattern, named groups of Python, and escapes that are letters in JavaScript.
_OTHERWISE = re.compile(r"(?<!\\)(?:\\\\)*(\(\?[^:=!<]|\\[AzQECpPa]|\\[ux]\{|\[\[:)")


def meant(asked: Asked) -> Meant | None:
    """The scorer that an assertion is; None for a type that is not in this file. Raises CannotMapError."""
    made = _KINDS.get(asked.kind)
    return None if made is None else made(asked)


def _phrase(**args: Any) -> Callable[[Asked], Meant]:
    return lambda asked: Meant("contains", args, "values", text_of(asked.value))


def _phrases(**args: Any) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        texts = texts_of(asked.value)
        # Every output has the empty text, which so decides nothing where all are wanted.
        return Meant("contains", args, "values", [each for each in texts if each] if "mode" in args else texts)

    return made


def _equals(asked: Asked) -> Meant:
    if not isinstance(asked.value, dict | list):
        return Meant("exact_match", {}, "reference", text_of(asked.value))
    note = "an output that is no JSON fails here, and passes there" if asked.inverse else ""
    # A list of alternatives with one alternative, which is a list itself.
    return Meant("exact_match", {}, "reference", [asked.value] if isinstance(asked.value, list) else asked.value, note)


def _regex(asked: Asked) -> Meant:
    pattern = text_of(asked.value)
    if found := _OTHERWISE.search(pattern):
        raise CannotMapError(f"JavaScript reads {found[1]!r} otherwise, or not at all; write it in another way")
    pattern = _UNICODE.sub(lambda found: f"\\x{{{found[1]}}}", pattern)
    return Meant("regex", {"pattern": pattern})


def _levenshtein(asked: Asked) -> Meant:
    args = {**PROFILE, "max_distance": asked.threshold(5.0)}
    return Meant("levenshtein", args, "reference", text_of(asked.value))


def _near(use: str, threshold: float, *, many: bool) -> Callable[[Asked], Meant]:
    """A text near the reference, from a threshold."""

    def made(asked: Asked) -> Meant:
        value = asked.value
        if isinstance(value, list) and not (many and value and all(isinstance(each, str) for each in value)):
            raise CannotMapError("its value is no text" + (" and no list of texts" if many else ""))
        args = {**PROFILE, "threshold": asked.threshold(threshold)}
        return Meant(use, args, "reference", value if isinstance(value, list) else text_of(value))

    return made


def _limit(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        threshold = asked.threshold()
        if threshold is None:
            raise CannotMapError("it has no threshold")
        return Meant(use, {"threshold": threshold})

    return made


def _perplexity(**args: Any) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        threshold = asked.threshold()
        if threshold is None:
            return Meant(
                "perplexity", args, note="without a threshold it never fails; it is measured, and decides nothing"
            )
        return Meant("perplexity", {**args, "threshold": threshold})

    return made


def _words(asked: Asked) -> Meant:
    return Meant("length", {"unit": "words", **bounds_of(asked.value)})


def _refusal(_asked: Asked) -> Meant:
    # Passed means that nothing was refused there.
    return Meant(
        "refusal",
        {"negate": True},
        note="what counts as a refusal is our own list of phrases, and an empty output is none",
    )


def _finish_reason(asked: Asked) -> Meant:
    note = "an answer whose endpoint gave no reason is skipped here, and fails there"
    return Meant("finish_reason", {"allowed": [text_of(asked.value)]}, note=note)


def _calls(asked: Asked) -> Meant:
    if asked.inverse:
        raise CannotMapError("promptfoo overlooks the `not-` of this type; write what is meant")
    return Meant("valid_tool_calls", note="an answer without a tool call is skipped here, and fails there")


_KINDS: dict[str, Callable[[Asked], Meant]] = {
    **documents.KINDS,
    **tools.KINDS,
    "equals": _equals,
    "contains": _phrase(),
    "icontains": _phrase(ignore_case=True),
    "contains-any": _phrases(),
    "icontains-any": _phrases(ignore_case=True),
    "contains-all": _phrases(mode="all"),
    "icontains-all": _phrases(mode="all", ignore_case=True),
    "starts-with": lambda asked: Meant("starts_with", {}, "values", text_of(asked.value)),
    "regex": _regex,
    "is-valid-openai-tools-call": _calls,
    "is-valid-function-call": _calls,
    "is-valid-openai-function-call": _calls,
    "levenshtein": _levenshtein,
    "bleu": _near("bleu", 0.5, many=True),
    "gleu": _near("gleu", 0.5, many=True),
    "meteor": _near("meteor", 0.5, many=True),
    "rouge-n": _near("rouge_1", 0.75, many=False),
    "word-count": _words,
    "latency": _limit("latency"),
    "cost": _limit("cost"),
    "perplexity": _perplexity(),
    "perplexity-score": _perplexity(form="score"),
    "is-refusal": _refusal,
    "finish-reason": _finish_reason,
}
