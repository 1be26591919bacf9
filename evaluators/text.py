"""What several scorers need to know about text."""

import re
import string
from typing import Any

import msgspec

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no UTF-8 library accepts."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def texts(alternatives: list[Any]) -> list[str]:
    """The alternatives that are text, numbers and booleans written as in JSON; objects and arrays are left out."""
    return [
        each if isinstance(each, str) else msgspec.json.encode(each).decode()
        for each in alternatives
        if not isinstance(each, dict | list)
    ]


def squad_normalize(text: str) -> str:
    """SQuAD v1.1's normalisation: lower case, no ASCII punctuation, no articles, single spaces.

    Source: `normalize_answer` of the official evaluation script, rajpurkar.github.io/SQuAD-explorer.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def clip(text: str, limit: int = 80) -> str:
    """The text in quotes, cut for an explanation."""
    return repr(text if len(text) <= limit else text[:limit] + "…")
