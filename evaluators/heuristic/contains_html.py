"""Whether there is HTML somewhere in the output."""

import functools
from typing import Any

from evaluators.contract import Sample, Score, Scorer
from evaluators.text import without_surrogates

_ELEMENTS = (
    "html head body div span p a img h[1-6] ul ol li table tr td th form input button script style link meta br hr"
)
# What each sign counts; an element of the list counts again, and opening and closing tags count together what they count alone.
_SIGNS = {
    "a start tag": (r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]*)?>", 1),
    "an end tag": (r"</[a-zA-Z][a-zA-Z0-9-]*\s*>", 1),
    "a tag that closes itself": (r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]*)?/>", 1),
    "an entity": (r"&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);", 1),
    "a doctype": (r"(?i)<!DOCTYPE\s+html", 2),
    "a comment": (r"(?s)<!--.*?-->", 1),
    "an attribute": (r"""\s[a-zA-Z-]+=\s*["'][^"']*["']""", 1),
    "a common element": (rf"(?i)<(?:{_ELEMENTS.replace(' ', '|')})\b", 2),
}
_ENOUGH = 2


class ContainsHTML(Scorer, frozen=True):
    """1 when the output shows at least two signs of HTML, else 0.

    Signs are a start tag, an end tag, a tag that closes itself, an entity, a comment and a quoted attribute; a doctype and
    one of the most common elements count twice. Nothing is parsed: is_html asks whether the whole output is HTML. An empty
    output is 0. Range {0, 1}, higher is better. Source: promptfoo 0.123, `contains-html`.
    """

    name = "contains_html"
    binary = True

    def measure(self, sample: Sample) -> Score:
        text = without_surrogates(sample.output)
        found = [(sign, counts) for sign, pattern, counts in _patterns() if pattern.search(text)]
        shown = ", ".join(sign for sign, _ in found) or "no sign of HTML"
        return self.scored(float(sum(counts for _, counts in found) >= _ENOUGH), f"found {shown}")


@functools.cache
def _patterns() -> list[tuple[str, Any, int]]:
    """RE2 patterns, which take linear time whatever the output is."""
    import re2

    return [(sign, re2.compile(pattern), counts) for sign, (pattern, counts) in _SIGNS.items()]
