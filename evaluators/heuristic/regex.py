"""Whether a regular expression matches somewhere in the output."""

import functools
from typing import Any

import re2

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, without_surrogates


class Regex(Scorer, frozen=True):
    """1 when the pattern matches somewhere in the output (search, not full match), else 0.

    The syntax is RE2's: matching takes linear time, so there is no look-around and no back-reference. Anchor with `^`
    and `$`; flags go into the pattern, as in `(?s)`. Range {0, 1}, higher is better. Source: github.com/google/re2.
    """

    name = "regex"
    binary = True
    example = {"pattern": "^[A-Z]{2}-[0-9]+$"}

    pattern: str
    ignore_case: bool = False

    def check(self) -> None:
        super().check()
        self._compiled  # noqa: B018 - compiling is the check
        if _cannot_fail(self.pattern, self._options):
            message = f"{clip(self.pattern)} matches every output, so this cannot fail"
            raise ScorerConfigError(message, "/args/pattern")

    @functools.cached_property
    def _options(self) -> Any:
        options = re2.Options()
        options.case_sensitive = not self.ignore_case
        options.log_errors = False
        return options

    @functools.cached_property
    def _compiled(self) -> Any:
        try:
            return re2.compile(self.pattern, self._options)
        except (re2.error, UnicodeEncodeError) as exc:
            raise ScorerConfigError(f"{_explain(exc)} in {clip(self.pattern)}", "/args/pattern") from exc

    def measure(self, sample: Sample) -> Score:
        match = self._compiled.search(without_surrogates(sample.output))
        if match is None:
            return self.scored(0.0, f"{clip(self.pattern)} matches nowhere")
        return self.scored(1.0, f"{clip(self.pattern)} matches {clip(match[0])}", evidence={"start": match.start()})


def _cannot_fail(pattern: str, options: Any) -> bool:
    """Whether the pattern matches the empty text at the start, or at the end, whatever stands next to it.

    RE2's assertions see only whether that neighbour is absent, a word character, a line feed, or something else.
    """
    neighbours = ("", "x", "\n", " ")
    try:
        return any(
            all(re2.fullmatch(form.format(pattern, each), each, options) for each in neighbours)
            for form in ("(?:{0}){1}", "{1}(?:{0})")
        )
    except re2.error:  # an open \\Q swallows what is put behind it
        return False


def _explain(exc: Exception) -> str:
    reason = exc.args[0].decode("utf-8", "replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
    kind, _, part = reason.partition(": ")
    if kind == "invalid perl operator" and part.startswith(("(?=", "(?!", "(?<")):
        return f"look-around ({part}) is not supported; write two scorers, or match the text around it"
    if kind == "invalid escape sequence" and part[1:2].isdigit():
        return f"back-references ({part}) are not supported"
    if kind == "pattern too large - compile failed":
        return "the pattern is too large; lower its repetition counts"
    if kind == "invalid repetition size":
        return f"a repetition count ({part}) is at most 1000"
    return reason
