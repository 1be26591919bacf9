"""Shared form of scorers that look for values which should not stand in an output."""

import functools
import re
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from evaluators import patterns
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.detection.table import Group
from evaluators.patterns import Finding

_SHOWN = 20


class FindingScorer(Scorer, frozen=True):
    """1 when nothing of its group is found. What is found is shown masked only."""

    binary = True
    group: ClassVar[Group]

    kinds: list[str] | None = None
    allow: list[str] = []

    def check(self) -> None:
        super().check()
        known = [kind for kind, group in patterns.kinds().items() if group == self.group]
        self.check_kinds(known)
        for i, each in enumerate(self.allow):
            if not each.strip("* "):
                raise ScorerConfigError(f"{each!r} would allow every value", f"/args/allow/{i}")

    def check_kinds(self, known: list[str]) -> None:
        """Refuse an empty list of kinds, and kinds that nobody looks for. Raises ScorerConfigError."""
        if self.kinds is None:
            return
        if not self.kinds:
            raise ScorerConfigError("with no kinds this cannot fail; leave it out to look for all", "/args/kinds")
        for i, kind in enumerate(self.kinds):
            if kind not in known:
                raise ScorerConfigError(
                    f"there is no kind {kind!r}; known are {', '.join(sorted(known))}", f"/args/kinds/{i}"
                )

    @functools.cached_property
    def _allowed(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(r"\S*".join(map(re.escape, each.strip().casefold().split("*")))) for each in self.allow)

    def found(self, text: str) -> Iterable[Finding]:
        """Everything of the group in the text, in order."""
        return (each for each in patterns.find(text, limit=sys.maxsize) if each.group == self.group)

    def measure(self, sample: Sample) -> Score:
        hits = [each for each in self.found(sample.output) if self._counts(each, sample.output)]
        if not hits:
            return self.scored(1.0, self._clean)
        counts = Counter(hit.kind for hit in hits)
        evidence: dict[str, Any] = {
            "counts": dict(sorted(counts.items())),
            "found": [
                {"kind": hit.kind, "shown": hit.shown, "start": hit.start, "end": hit.end} for hit in hits[:_SHOWN]
            ],
        }
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        return self.scored(0.0, f"found {listed}; the first is {hits[0].shown}", evidence=evidence)

    @functools.cached_property
    def _clean(self) -> str:
        return f"no {', '.join(self.kinds)} found" if self.kinds else f"no {self.group} data found"

    def _counts(self, hit: Finding, text: str) -> bool:
        if self.kinds is not None and hit.kind not in self.kinds:
            return False
        value = text[hit.start : hit.end].casefold()
        return not any(allowed.fullmatch(value) for allowed in self._allowed)
