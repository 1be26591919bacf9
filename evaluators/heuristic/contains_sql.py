"""Whether there is SQL somewhere in the output."""

import functools
import re

import msgspec

from evaluators.contract import Sample, Score, Scorer
from evaluators.heuristic.is_sql import IsSQL

_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})(?P<rest>.*)")


class ContainsSQL(IsSQL, frozen=True):
    """1 when a code block of the output is SQL as is_sql has it, else 0; without such a block the whole output must be.

    Code blocks are those of Markdown, marked as `sql` or not marked at all. The arguments are is_sql's. An empty output is
    0. Range {0, 1}, higher is better. Source: promptfoo 0.123, `contains-sql`; sqlglot 30.
    """

    name = "contains_sql"
    example = {"dialect": "postgres", "allowed_tables": ["orders"]}

    @functools.cached_property
    def _whole(self) -> Scorer:
        args = {field: getattr(self, field) for field in self.__struct_fields__ if field not in ("threshold", "negate")}
        return IsSQL(**args)

    def measure(self, sample: Sample) -> Score:
        blocks = _blocks(sample.output)
        found = [
            self._whole.score(msgspec.structs.replace(sample, output=block))
            for block in (blocks or [sample.output])
            if block.strip()
        ]
        best = max(found, key=lambda score: score.value or 0.0, default=None)
        if best is None:
            return self.scored(0.0, "there is no SQL")
        if best.value != 1 and (failed := next((score for score in found if score.status == "error"), None)):
            return failed
        return self.scored(best.value or 0.0, best.explanation, evidence=best.evidence)


def _blocks(text: str) -> list[str]:
    """The contents of the code blocks that are or may be SQL."""
    found: list[str] = []
    mark, body, wanted = "", list[str](), False
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if not mark:
            if fence:
                mark, body, wanted = fence["mark"], [], fence["rest"].strip().lower() in ("", "sql")
        elif fence and not fence["rest"].strip() and fence["mark"].startswith(mark):
            if wanted:
                found.append("\n".join(body))
            mark = ""
        else:
            body.append(line)
    return found
