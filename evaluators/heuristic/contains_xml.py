"""Whether there is XML somewhere in the output."""

import re
from collections.abc import Iterator

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import without_surrogates

_NAME = r"[^\W\d][\w:.-]*"
_TAG = re.compile(rf"<(?P<end>/?)(?P<name>{_NAME})(?:\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*?)?(?P<alone>/?)>")
_MOST = 1_000
_DEEPEST = 256


class ContainsXML(Scorer, frozen=True):
    """1 when a part of the output, from a start tag to its end tag, is well-formed XML with all `required_elements`, else 0.

    Only outermost elements are looked at, the first 1,000 of them. A required element is a name that may stand anywhere
    (`title`), a path that may (`book/title`), or a path from the outermost element (`/library/book/title`); names in a
    namespace are given without it. No entity is expanded, no file and no address opened. An empty output is 0. Range
    {0, 1}, higher is better. Source: promptfoo 0.123, `contains-xml`; XML 1.0 by libxml2.
    """

    name = "contains_xml"
    binary = True
    example = {"required_elements": ["book/title"]}

    required_elements: list[str] = []

    def check(self) -> None:
        super().check()
        for index, path in enumerate(self.required_elements):
            if not all(path.removeprefix("/").split("/")):
                pointer = f"/args/required_elements/{index}"
                raise ScorerConfigError(f"{path!r} is no path; write it like book/title", pointer)

    def measure(self, sample: Sample) -> Score:
        text, number = without_surrogates(sample.output), 0
        for number, (start, end) in enumerate(_outermost(text), start=1):
            if number > _MOST:
                break
            paths = _paths(text[start:end])
            if paths is not None and all(_there(path, paths) for path in self.required_elements):
                return self.scored(1.0, f"there is XML at character {start}", evidence={"start": start})
        fitting = " that is well-formed and has what is required" if number else ""
        return self.scored(0.0, f"there is no XML element{fitting}")


def _outermost(text: str) -> Iterator[tuple[int, int]]:
    """Where elements begin and end that lie in no other; a stray end tag makes a new start."""
    stack: list[str] = []
    start = 0
    for tag in _TAG.finditer(text):
        if tag["end"]:
            if stack and stack[-1] == tag["name"]:
                stack.pop()
                if not stack:
                    yield start, tag.end()
            else:
                stack.clear()
        elif tag["alone"]:
            if not stack:
                yield tag.start(), tag.end()
        else:
            if not stack:
                start = tag.start()
            stack.append(tag["name"])


def _paths(text: str) -> set[str] | None:
    """The paths of all elements from the outermost one, as `/a/b`; None for what is not well-formed or too deep."""
    from lxml import etree

    target = _Collecting()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
    try:
        etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, _TooDeepError):
        return None
    return target.paths


class _TooDeepError(Exception):
    pass


class _Collecting:
    """What the parser tells of: builds no tree."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self.paths: set[str] = set()

    def start(self, tag: str, _attributes: object) -> None:
        if len(self._stack) >= _DEEPEST:
            raise _TooDeepError
        self._stack.append(tag.rpartition("}")[2])
        self.paths.add("/" + "/".join(self._stack))

    def end(self, _tag: str) -> None:
        self._stack.pop()

    def close(self) -> None:
        """The parser asks for a result; the paths are it."""


def _there(path: str, paths: set[str]) -> bool:
    return path in paths if path.startswith("/") else any(f"{each}/".endswith(f"/{path}/") for each in paths)
