"""Whether the output is HTML."""

import re

from evaluators.contract import Sample, Score, Scorer
from evaluators.text import clip

# The elements of the HTML standard: those without an end tag, those whose end tag may be left out, all others.
_WITHOUT_END = "area base br col embed hr img input link meta source track wbr param"
_END_MAY_LACK = "body colgroup dd dt head html li optgroup option p rp rt tbody td tfoot th thead tr"
_OTHERS = """a abbr address article aside audio b bdi bdo blockquote button canvas caption cite code data datalist del
details dfn dialog div dl em fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup i iframe ins kbd label
legend main map mark menu meter nav noscript object ol output picture pre progress q ruby s samp script search section select
slot small span strong style sub summary sup table template textarea time title u ul var video center font big strike tt nobr
marquee svg math"""
_VOID = frozenset(_WITHOUT_END.split())
_OPTIONAL = frozenset(_END_MAY_LACK.split())
_RAW = ("script", "style", "textarea", "title")
_KNOWN = _VOID | _OPTIONAL | frozenset(_OTHERS.split())
# Within SVG and MathML names are those of XML.
_FOREIGN = frozenset({"svg", "math"})
_TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]*)((?:[^<>"']|"[^"<]*"|'[^'<]*')*)>|<!--|<!(?i:doctype)[^<>]*>""")


class IsHTML(Scorer, frozen=True):
    """1 when the whole output is an HTML document or fragment, else 0.

    That is: it begins with a tag, a comment or `<!DOCTYPE`, and ends with one; every element is known to HTML, or a
    custom element (with a hyphen), or within SVG or MathML; every end tag has its start tag in the right order; and
    every start tag its end tag, but for the elements that have none (`<br>`) and those for which HTML lets it be left out
    (`<li>`, `<p>`). With `document` there must be an `<html>` or a `<body>` element. Text with a few tags in it, and an empty
    output, are 0. Range {0, 1}, higher is better.

    Source: the HTML standard (html.spec.whatwg.org), sections 4 and 13.1; promptfoo's `is-html` counts at least two signs of
    HTML instead.
    """

    name = "is_html"
    binary = True
    example = {"document": True}

    document: bool = False

    def measure(self, sample: Sample) -> Score:
        reason = fault(sample.output, document=self.document)
        if reason is not None:
            return self.scored(0.0, f"the output is not HTML: {reason}; found {clip(sample.output)}")
        return self.scored(1.0, "the output is HTML")


def fault(text: str, *, document: bool = False) -> str | None:
    """What is wrong with the text as HTML, or None."""
    text = text.strip()
    if not text:
        return "it is empty"
    open_tags: list[str] = []
    seen: set[str] = set()
    at = 0
    foreign = False
    while (match := _TAG.search(text, at)) is not None:
        if at == 0 and match.start() > 0:
            return "it begins with text"
        at = match.end()
        if match[0] == "<!--":
            if (end_of_comment := text.find("-->", at)) < 0:
                return "a comment is never closed"
            at = end_of_comment + 3
            continue
        name = (match[2] or "").lower()
        if not name:
            continue
        if name not in _KNOWN and "-" not in name and not foreign:
            return f"there is no element <{name}>"
        seen.add(name)
        if match[1]:
            if (reason := _closed(name, open_tags)) is not None:
                return reason
            foreign = foreign and not (name in _FOREIGN and _FOREIGN.isdisjoint(open_tags))
        elif name not in _VOID and not (foreign and match[3].rstrip().endswith("/")):
            open_tags.append(name)
            foreign = foreign or name in _FOREIGN
            if name in _RAW and not foreign:
                end = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, at)
                if end is None:
                    return f"<{name}> is never closed"
                open_tags.pop()
                at = end.end()
    if not seen:
        return "it has no element"
    if at < len(text):
        return "it ends with text"
    unclosed = [each for each in open_tags if each not in _OPTIONAL]
    if unclosed:
        return f"<{unclosed[-1]}> is never closed"
    if document and not seen & {"html", "body"}:
        return "it is a fragment, without <html> or <body>"
    return None


def _closed(name: str, open_tags: list[str]) -> str | None:
    """Close the element, with those inside it that need no end tag. A lone </p> and </br> are mistakes, too."""
    if name in _VOID:
        return f"<{name}> has no end tag"
    while open_tags:
        last = open_tags.pop()
        if last == name:
            return None
        if last not in _OPTIONAL:
            return f"<{last}> is not closed before </{name}>"
    return f"</{name}> closes nothing"
