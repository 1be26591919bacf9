"""The judge's instructions: a template over the case and the answer."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from evaluators.contract import Sample, ScorerConfigError
from evaluators.judge.fence import Fence
from evaluators.judging import Judge
from evaluators.text import without_surrogates

# What a template may name, and the need behind it. The first three are written by models or found by search: they are
# fenced, so they stand alone as {{ output }}, or are tested with `if`.
FENCED = {"output": None, "context": "context", "tool_calls": "tool_calls"}
VARIABLES = FENCED | {"inputs": "inputs", "reference": "reference", "history": "history", "metadata": "metadata"}

_CONDITION = re.compile(r"(\{%-?\s*(?:el)?if\b)(.*?)(-?%\})", re.DOTALL)
_FENCED = re.compile(r"\{\{-?\s*(?:" + "|".join(FENCED) + r")\s*-?\}\}")
_WORD = re.compile(r"\w+")


def variables_of(template: str, pointer: str) -> frozenset[str]:
    """The variables that a template names. Raises ScorerConfigError for bad syntax, and for what it cannot name."""
    named = _undeclared(template, pointer)
    for name in sorted(named - VARIABLES.keys()):
        close = difflib.get_close_matches(name, VARIABLES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(VARIABLES))}"
        raise ScorerConfigError(f"the template names {name!r}, which a judge does not have{hint}", pointer)
    changed = _undeclared(_FENCED.sub("", _CONDITION.sub(r"\1 true \3", template)), pointer) & FENCED.keys()
    if changed:
        name = min(changed)
        message = f"{name} is data under judgement and is put between marks: write it as {{{{ {name} }}}}, unchanged"
        raise ScorerConfigError(message, pointer)
    return frozenset(named)


def tested(template: str) -> frozenset[str]:
    """The variables that the template tests with `if`, and so can do without."""
    return frozenset(word for match in _CONDITION.finditer(template) for word in _WORD.findall(match[2]))


def needs_of(template: str) -> frozenset[str]:
    """The needs behind the variables that a template names."""
    named = variables_of(template, "/args/instructions")
    return frozenset(need for name in named if (need := VARIABLES[name]))


def fill(template: str, sample: Sample, judge: Judge) -> tuple[str, str]:
    """The instructions for one sample, with the answer in its fence, and the fence's mark.

    Raises JudgeTemplateError.
    """
    fence, variables = _case(template, sample, [sample.output])
    answer = fence.around("answer", sample.output)
    text = judge.render(template, {**variables, "output": answer})
    if without_surrogates(text).count(fence.mark) < 2 or answer.strip() not in text:
        text = f"{text.rstrip()}\n\nThe answer to judge:{answer}"
    return without_surrogates(text).strip(), fence.mark


def fill_beside(template: str, sample: Sample, judge: Judge, blocks: Mapping[str, str]) -> tuple[str, str]:
    """The instructions for one sample, which do not place the answer, then each block in its fence; and the fence's mark.

    Raises JudgeTemplateError.
    """
    fence, variables = _case(template, sample, list(blocks.values()))
    text = judge.render(template, variables).rstrip() + "\n"
    text += "".join(fence.around(name, block) for name, block in blocks.items())
    return without_surrogates(text).strip(), fence.mark


def _case(template: str, sample: Sample, answers: list[str]) -> tuple[Fence, dict[str, Any]]:
    """The fence for all that is in the case, and the variables of a template but for the output."""
    calls = json.dumps(sample.tool_calls or [], ensure_ascii=False)
    case = {
        "inputs": sample.inputs,
        "reference": sample.reference,
        "history": sample.history,
        "metadata": sample.metadata,
    }
    context = sample.context or ""
    fence = Fence(*answers, context, calls, repr(case), template)
    fenced = {
        "context": fence.around("context", context) if context else "",
        "tool_calls": fence.around("tool calls", calls),
    }
    return fence, {**case, **fenced}


def _undeclared(template: str, pointer: str) -> set[str]:
    import minijinja

    try:
        return set(minijinja.Environment().undeclared_variables_in_str(template))
    except minijinja.TemplateError as exc:
        raise ScorerConfigError(f"the template cannot be read: {exc.message}", pointer) from exc
