"""Whether the output is structured as asked, in Markdown."""

import functools
import re
from typing import Any

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, without_surrogates

# The parser is written in Python; this many characters take it a second at worst.
_LONGEST = 40_000
_LINK = re.compile(r"(?:https?|mailto|tel|ftp):\S+|#[^\s#]+|(?:\.{0,2}/)?[^\s:?#]+(?:[?#]\S*)?", re.IGNORECASE)


class MarkdownStructure(Scorer, frozen=True):
    """Share of the demands on the output's Markdown that it meets; passed when it meets all.

    Each argument is one demand, but `headings` and `code_languages` are one per entry. `headings`: these texts are
    headings, in this order, case and signs aside; `max_heading_depth`: no heading is deeper (# is 1); `min_lists`,
    `min_tables`, `min_code_blocks`: at least so many, lists counted at the top level; `code_languages`: a fenced block
    names each of these; `all_code_has_language`: every block names one; `no_raw_html`: no HTML tags, though comments are
    tags, too; `valid_links`: every link and image has a target that is a web address, an address for mail or telephone,
    an anchor or a path, and nothing is loaded to see it. Empty output: 0 (it has no structure at all). More than 40,000
    characters are an error. Range [0, 1], higher is better.

    Source: CommonMark 0.31 with GitHub's tables, by markdown-it-py 4.
    """

    name = "markdown_structure"
    example = {"headings": ["Summary", "Steps"], "min_lists": 1, "max_heading_depth": 3}

    headings: list[str] = []
    max_heading_depth: int | None = None
    min_lists: int = 0
    min_tables: int = 0
    min_code_blocks: int = 0
    code_languages: list[str] = []
    all_code_has_language: bool = False
    no_raw_html: bool = False
    valid_links: bool = False

    def check(self) -> None:
        super().check()
        for field in ("headings", "code_languages"):
            for index, each in enumerate(getattr(self, field)):
                if not each.strip():
                    raise ScorerConfigError("this is empty", f"/args/{field}/{index}")
        for field in ("min_lists", "min_tables", "min_code_blocks"):
            if getattr(self, field) < 0:
                raise ScorerConfigError(f"{field} must be at least 0", f"/args/{field}")
        if self.max_heading_depth is not None and not 0 <= self.max_heading_depth <= 5:
            raise ScorerConfigError("every heading is at most 6 deep; give 0 to 5", "/args/max_heading_depth")
        if not self._demands(_Outline()):
            raise ScorerConfigError(
                "without a demand every output passes; ask for headings, lists or the like", "/args"
            )

    def verdict(self, value: float) -> bool | None:
        return value == 1 if self.threshold is None else super().verdict(value)

    def measure(self, sample: Sample) -> Score:
        text = sample.output
        if not text.strip():
            return Score.unparsable("the output is empty")
        if len(text) > _LONGEST:
            return Score.error(
                f"{len(text):,} characters of Markdown would take too long; at most {_LONGEST:,} are read"
            )
        try:
            outline = _Outline.of(without_surrogates(text))
        except RecursionError:
            return Score.error("the Markdown is nested too deeply")
        demands = self._demands(outline)
        unmet = [name for name, met in demands if not met]
        explanation = f"{len(demands) - len(unmet)} of {len(demands)} demands are met"
        if unmet:
            explanation += f"; not: {'; '.join(unmet[:5])}"
        return self.scored(1 - len(unmet) / len(demands), explanation, evidence={"unmet": unmet[:50]})

    def _demands(self, outline: "_Outline") -> list[tuple[str, bool]]:
        demands = _in_order(self.headings, outline.headings)
        if self.max_heading_depth is not None:
            demands.append((f"headings at most {self.max_heading_depth} deep", outline.depth <= self.max_heading_depth))
        for wanted, count, what in (
            (self.min_lists, outline.lists, "lists"),
            (self.min_tables, outline.tables, "tables"),
            (self.min_code_blocks, len(outline.languages), "code blocks"),
        ):
            if wanted:
                demands.append((f"at least {wanted} {what}, found {count}", count >= wanted))
        known = {each.lower() for each in outline.languages}
        demands += [(f"a code block in {each}", each.lower() in known) for each in self.code_languages]
        if self.all_code_has_language:
            demands.append(("a language for every code block", "" not in known))
        if self.no_raw_html:
            demands.append(("no raw HTML", not outline.html))
        if self.valid_links:
            bad = ", ".join(clip(each, 40) for each in outline.bad_links[:3])
            demands.append((f"valid links ({bad})", not outline.bad_links))
        return demands


class _Outline:
    """What stands in a document."""

    def __init__(self) -> None:
        self.headings: list[str] = []
        self.depth = self.lists = self.tables = 0
        self.languages: list[str] = []
        self.html = False
        self.bad_links: list[str] = []

    @classmethod
    def of(cls, text: str) -> "_Outline":
        outline = cls()
        tokens = _parser().parse(text)
        for index, token in enumerate(tokens):
            outline._see(token)
            if token.type == "heading_open":
                outline.depth = max(outline.depth, int(token.tag[1:]))
                outline.headings.append(_plain(tokens[index + 1]))
            for child in token.children or ():
                outline._see(child)
        return outline

    def _see(self, token: Any) -> None:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            self.lists += token.level == 0
        elif token.type == "table_open":
            self.tables += 1
        elif token.type in ("fence", "code_block"):
            self.languages.append((token.info or "").strip().split(" ")[0])
        elif token.type in ("html_block", "html_inline"):
            self.html = True
        elif token.type in ("link_open", "image"):
            target = str(token.attrGet("href" if token.type == "link_open" else "src") or "")
            if not _LINK.fullmatch(target):
                self.bad_links.append(target)


@functools.cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    # What it would refuse as a link shall be seen and named.
    parser.validateLink = _any_link  # type: ignore[method-assign, assignment]
    return parser


def _any_link(_url: str) -> bool:
    return True


def _plain(inline: Any) -> str:
    return "".join(each.content for each in inline.children or () if each.type in ("text", "code_inline"))


def _folded(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]|_", " ", text.casefold()).split()) or text.strip()


def _in_order(wanted: list[str], found: list[str]) -> list[tuple[str, bool]]:
    """Each wanted heading with whether it follows those before it that were found."""
    rest = [_folded(each) for each in found]
    demands = []
    for each in wanted:
        folded = _folded(each)
        met = folded in rest
        if met:
            rest = rest[rest.index(folded) + 1 :]
        demands.append((f"the heading {clip(each, 60)}", met))
    return demands
