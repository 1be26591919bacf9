"""Whether the output is XML."""

import functools
import re
from typing import Any

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip

_PATH = re.compile(r"/?[^\W\d][\w.-]*(?:/[^\W\d][\w.-]*)*")
_OPTIONS = {"resolve_entities": False, "no_network": True, "load_dtd": False}


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
            if not _PATH.fullmatch(path):
                raise ScorerConfigError(
                    f"{path!r} is no path; write it like book/title", f"/args/required_elements/{index}"
                )

    def measure(self, sample: Sample) -> Score:
        from lxml import etree

        try:
            # The text is Unicode: an encoding that the declaration names no longer holds.
            data = _without_declaration(sample.output).encode()
            if b"<!DOCTYPE" in data:
                etree.fromstring(data, etree.XMLParser(target=_Wary(), **_OPTIONS))
            root = etree.fromstring(data, _parser())
        except UnicodeEncodeError:
            return self.scored(0.0, "the output holds a lone surrogate")
        except _DoctypeError:
            return self.scored(0.0, "the output has a document type declaration, which is refused")
        except etree.XMLSyntaxError as exc:
            return self.scored(0.0, f"the output is not XML: {str(exc)[:200]}; found {clip(sample.output)}")
        missing = [each for each in self.required_elements if not _has(root, each)]
        if missing:
            explanation = f"missing elements: {', '.join(missing[:5])}"
            return self.scored(0.0, explanation, evidence={"missing": missing[:50]})
        return self._valid

    @functools.cached_property
    def _valid(self) -> Score:
        return self.scored(1.0, "the output is XML")


@functools.cache
def _parser() -> Any:
    from lxml import etree

    return etree.XMLParser(**_OPTIONS)


def _has(root: Any, path: str) -> bool:
    """Whether the path is there, from the root where it begins with a stroke, else anywhere."""
    from lxml import etree

    first, _, rest = path.removeprefix("/").partition("/")
    below = "/".join(f"{{*}}{part}" for part in rest.split("/")) if rest else "."
    if etree.QName(root).localname == first and root.find(below) is not None:
        return True
    anywhere = f".//{{*}}{first}" + (f"/{below}" if rest else "")
    return not path.startswith("/") and root.find(anywhere) is not None


class _DoctypeError(Exception):
    pass


class _Wary:
    """Stops the parser at a declaration, before it reads what that defines; a comment may hold the same words."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _DoctypeError

    def close(self) -> None:
        return None


def _without_declaration(text: str) -> str:
    if text.startswith("<?xml ") and (end := text.find("?>", 0, 200)) > 0:
        return text[end + 2 :]
    return text
