"""A plain function as a scorer."""

import inspect
import numbers
import typing
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from evaluators.contract import NEEDS, Sample, Score, Scorer, ScorerConfigError


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a function that returns a dict may say."""

    value: float
    passed: bool | None = None
    label: str | None = None
    explanation: str = ""
    evidence: dict[str, Any] | None = None


class FunctionScorer(Scorer, frozen=True):
    """Calls a function with the sample and the suite's arguments, and reads what it returns.

    Values lie in [0, 1], higher is better. A function sees all of a sample but `tags`, and what has to be asked for:
    `others` and the time to the first token. A Scorer class says otherwise.
    """

    # What is measured only when a scorer asks for it stays out.
    needs = NEEDS - {"judge", "embeddings", "others", "time_to_first_token"}
    function: ClassVar[Callable[..., Any]]

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def measure(self, sample: Sample) -> Score:
        args = {field: getattr(self, field) for field in self.__struct_fields__ if field not in _EVERYWHERE}
        given = type(self).function(msgspec.structs.replace(sample, tags=()), **args)
        if isinstance(given, Score) and given.value is None:
            return given
        if isinstance(given, bool):
            return self._made(Answer(float(given), passed=given))
        if isinstance(given, numbers.Real):
            return self._made(Answer(float(given)))
        if isinstance(given, dict):
            return self._made(msgspec.convert(given, Answer))
        if isinstance(given, Score):
            return self._made(Answer(given.value or 0.0, given.passed, given.label, given.explanation, given.evidence))
        kind = type(given).__name__
        raise TypeError(f"the function returned {kind}; return a number from 0 to 1, true or false, a dict, or a Score")

    def _made(self, answer: Answer) -> Score:
        score = self.scored(answer.value, answer.explanation, label=answer.label, evidence=answer.evidence)
        if self.threshold is not None or answer.passed is None:
            return score
        return msgspec.structs.replace(score, passed=answer.passed != self.negate)


_EVERYWHERE = frozenset(Scorer.__struct_fields__)


def scorer_of(function: Callable[..., Any]) -> type[Scorer]:
    """The scorer class of a function: its parameters after the sample are arguments. Raises ScorerConfigError."""
    name = function.__name__
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ScorerConfigError(f"{name} must be a plain function: neither async nor a generator", "/use")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD):
        raise ScorerConfigError(f"{name} must take the sample as its first parameter", "/use")
    hints = typing.get_type_hints(function)
    fields: list[Any] = []
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ScorerConfigError(f"{name}: name the parameter {parameter.name!r} and its default", "/use")
        if parameter.name in dir(FunctionScorer):
            raise ScorerConfigError(f"{name}: the parameter {parameter.name!r} needs another name", "/use")
        field = (parameter.name, hints.get(parameter.name, Any))
        fields.append(field if parameter.default is parameter.empty else (*field, parameter.default))
    namespace = {"name": name, "function": staticmethod(function), "__doc__": function.__doc__}
    try:
        made = msgspec.defstruct(name, fields, bases=(FunctionScorer,), namespace=namespace, frozen=True, kw_only=True)
    except TypeError as exc:
        raise ScorerConfigError(f"{name}: {exc}", "/use") from exc
    return typing.cast("type[Scorer]", made)
