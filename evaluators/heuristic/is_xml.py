"""Whether the output is XML."""

from typing import Any

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip


class IsXML(Scorer, frozen=True):
    """1 when the whole output is one well-formed XML document with all `required_elements`, else 0.

    A required element is a name that may stand anywhere (`title`), a path that may (`book/title`), or a path from the
    root (`/library/book/title`); names in a namespace are given without it. A document type declaration (DTD) is
    refused with what it might define: no entity is ever expanded, no file and no address opened. So are more than 256
    levels. An empty output is 0. Range {0, 1}, higher is better.

    Source: XML 1.0 (fifth edition) by libxml2; the argument is that of promptfoo's `is-xml`.
    """

    name = "is_xml"
    binary = True
    example = {"required_elements": ["book/title"]}

    required_elements: list[str] = []

    def check(self) -> None:
        super().check()
        for index, path in enumerate(self.required_elements):
            if not all(path.removeprefix("/").split("/")):
                raise ScorerConfigError(
                    f"{path!r} is no path; write it like book/title", f"/args/required_elements/{index}"
                )

    def measure(self, sample: Sample) -> Score:
        from lxml import etree

        target = _Paths(self.required_elements)
        try:
            # The text is Unicode: an encoding that the declaration names no longer holds.
            data = _without_declaration(sample.output).encode()
            parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
            etree.fromstring(data, parser)
        except UnicodeEncodeError:
            return self.scored(0.0, "the output holds a lone surrogate")
        except _DoctypeError:
            return self.scored(0.0, "the output has a document type declaration, which is refused")
        except etree.XMLSyntaxError as exc:
            return self.scored(0.0, f"the output is not XML: {str(exc)[:200]}; found {clip(sample.output)}")
        if target.missing:
            missing = [each for each in self.required_elements if each in target.missing]
            explanation = f"missing elements: {', '.join(missing[:5])}"
            return self.scored(0.0, explanation, evidence={"missing": missing[:50]})
        return self.scored(1.0, "the output is XML")


class _DoctypeError(Exception):
    pass


class _Paths:
    """What the parser tells: builds no tree, and notes which of the wanted paths come by."""

    def __init__(self, wanted: list[str]) -> None:
        self._stack: list[str] = []
        self._wanted = {each: (each.startswith("/"), each.strip("/").split("/")) for each in wanted}
        self.missing = set(wanted)

    def start(self, tag: str, attributes: Any) -> None:
        self._stack.append(tag.rpartition("}")[2])
        for each in tuple(self.missing):
            rooted, parts = self._wanted[each]
            if self._stack[-len(parts) :] == parts and (not rooted or len(parts) == len(self._stack)):
                self.missing.discard(each)

    def end(self, tag: str) -> None:
        self._stack.pop()

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _DoctypeError

    def close(self) -> None:
        return None


def _without_declaration(text: str) -> str:
    if text.startswith("<?xml ") and (end := text.find("?>", 0, 200)) > 0:
        return text[end + 2 :]
    return text
