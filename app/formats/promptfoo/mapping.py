"""Which scorer one assertion of promptfoo is, or why there is none."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from app.formats.building import Builder
from app.formats.naming import checked
from app.formats.nodes import Node
from app.formats.promptfoo.cases import Case
from app.formats.promptfoo.deterministic import meant
from app.formats.promptfoo.graded import ASKING, Judges, graded
from app.formats.promptfoo.lists import CannotMapError
from app.formats.promptfoo.meaning import Asked, Meant
from app.formats.promptfoo.values import differs, value_of
from app.formats.sources import Sources

_FOREIGN = {
    "javascript": "it is code, which is never run; write it as a scorer of your own (use: ./scorers/name.py:function)",
    "python": "it is code, which is never run; write it as a scorer of your own (use: ./scorers/name.py:function)",
    "ruby": "it is code, which is never run; write it as a scorer of your own (use: ./scorers/name.py:function)",
    "webhook": "it calls another service",
    "classifier": "it calls another service, a classifier",
    "moderation": "it calls another service, a moderation model",
    "guardrails": "it reads what another service's guardrail said",
    "pi": "it calls another service, Pi",
    "human": "a person judges there; feedback and calibration hold what people say here",
    "agent-rubric": "an agent with tools judges there; write a rubric with an endpoint of yours",
    "search-rubric": "its judge searches the web; write a rubric with an endpoint of yours",
}
_CODE = ("transform", "contextTransform")
_IGNORED = ("rubricPrompt", "config")


class Form(NamedTuple):
    """A scorer without what it expects. `takes` says where that goes: into the item, either way, or nowhere."""

    use: str
    args: str  # JSON with sorted keys, so that equal forms are one
    metric: str
    weight: float
    takes: Literal["reference", "values", "nothing"]


class Wanted(NamedTuple):
    form: Form
    value: Any
    node: Node


class _Part(NamedTuple):
    """One assertion, mapped. `differs`: what it expects may be another text in each case."""

    meant: Meant
    metric: str
    weight: float
    node: Node
    differs: bool

    @property
    def wanted(self) -> Wanted:
        args = json.dumps(self.meant.args, sort_keys=True)
        return Wanted(
            Form(self.meant.use, args, self.metric, self.weight, _taken(self.meant)), self.meant.value, self.node
        )


def _taken(found: Meant) -> Literal["reference", "values", "nothing"]:
    return found.takes if found.takes != "metadata" else "nothing"


class Mapper:
    """Maps the assertions of one config; what cannot be mapped is a loss with its line."""

    def __init__(self, sources: Sources, builder: Builder, templates: Node) -> None:
        """`templates` is the config's `assertionTemplates`."""
        self._sources, self._builder, self._templates = sources, builder, templates
        self._judges = Judges(builder)

    def all_of(self, case: Case) -> Iterator[Wanted]:
        """A case's scorers; with a threshold of the test they are one set."""
        nodes = [self._resolved(node) for node in case.asserts]
        if case.threshold is None or not nodes:
            for node in nodes:
                yield from self._wanted(node, case)
            return
        yield from self._as_set(nodes, case.place, case.threshold, "", 1.0, case)

    def _resolved(self, node: Node) -> Node:
        reference = node.get("$ref").data
        if isinstance(reference, str) and reference.startswith("#/assertionTemplates/"):
            return self._templates.get(reference.removeprefix("#/assertionTemplates/"))
        return node

    def _wanted(self, node: Node, case: Case) -> Iterator[Wanted]:
        if node.mapping("an assertion").get("type").data == "assert-set":
            inner = [self._resolved(each) for each in node.get("assert").each()]
            threshold = node.get("threshold").number("a threshold")
            yield from self._as_set(inner, node, threshold, self._metric(node), _weight(node), case)
        elif (part := self._part(node, case)) is not None:
            self._tell(part)
            yield part.wanted

    def _as_set(
        self, nodes: Sequence[Node], place: Node, threshold: float | None, metric: str, weight: float, case: Case
    ) -> Iterator[Wanted]:
        """One scorer for all, if each of them can be part of it; else each stands for itself, with a loss."""
        try:
            made = self._set(nodes, threshold, case)
        except CannotMapError as error:
            what = f"these assertions stand for themselves, without a common threshold: {error}"
            self._builder.lose(place.path, place.get("threshold").line or place.line, what)
            for node in nodes:
                yield from self._wanted(node, case)
            return
        yield _Part(made, metric, weight, place, False).wanted

    def _set(self, nodes: Sequence[Node], threshold: float | None, case: Case, depth: int = 1) -> Meant:
        """Raises CannotMapError for what cannot be part of a set."""
        if threshold is not None and threshold <= 0:
            raise CannotMapError(f"a threshold of {threshold:g} never fails")
        parts: list[_Part] = []
        for node in nodes:
            if node.mapping("an assertion").get("type").data != "assert-set":
                parts.append(self._member(node, case))
                continue
            if depth == 0:
                raise CannotMapError("a set within a set holds another set")
            inner = [self._resolved(each) for each in node.get("assert").each()]
            of = self._set(inner, node.get("threshold").number("a threshold"), case, depth - 1)
            parts.append(_Part(of, self._metric(node), _weight(node), node, False))
        if any(set(ASKING) & part.meant.args.keys() for part in parts):
            raise CannotMapError("one of them asks a model")
        expected = [part for part in parts if part.meant.takes == "reference"]
        expected = expected or [part for part in parts if part.meant.takes == "values" and part.differs][:1]
        references = {json.dumps(part.meant.value, sort_keys=True) for part in expected}
        if len(references) > 1:
            raise CannotMapError("they expect several references")
        written = [_written(part, part in expected) for part in parts]
        args: dict[str, Any] = {"assert": written, **({} if threshold is None else {"threshold": threshold})}
        from evaluators.contract import ScorerConfigError
        from evaluators.registry import build

        try:
            build("assert_set", args)
        except ScorerConfigError as error:
            raise CannotMapError(error.message.removeprefix("assert_set: ")) from error
        for part in parts:
            self._tell(part)
        if not expected:
            return Meant("assert_set", args)
        return Meant("assert_set", args, "reference", expected[0].meant.value)

    def _member(self, node: Node, case: Case) -> _Part:
        """A part of a set. Raises CannotMapError that names it."""
        try:
            return self._mapped(node, case)
        except CannotMapError as error:
            raise CannotMapError(f"`{node.get('type').data}` in line {node.line} is not kept") from error

    def _part(self, node: Node, case: Case) -> _Part | None:
        try:
            return self._mapped(node, case)
        except CannotMapError as error:
            kind = node.get("type").data
            self._builder.lose(node.path, node.line, f"the assertion `{kind}` is not kept: {error}")
            return None

    def _mapped(self, node: Node, case: Case) -> _Part:
        """Raises CannotMapError. Puts into the case's metadata what the scorer reads there."""
        kind = node.mapping("an assertion").get("type").text("an assertion's `type`")
        base = kind.removeprefix("not-")
        if base in _FOREIGN or base.startswith("promptfoo:"):
            raise CannotMapError(_FOREIGN.get(base, "it calls another service, promptfoo's red-team graders"))
        for name in _CODE:
            if node.get(name).data is not None:
                raise CannotMapError(f"its `{name}` is code, which is never run")
        asked = Asked(base, base != kind, node, value_of(node.get("value"), case, self._sources, self._builder))
        found = meant(asked) or graded(asked, node.get("value").data, _provider(node, case), self._judges)
        if found is None:
            raise CannotMapError("no scorer does this")
        from evaluators.registry import names

        if found.use not in names():
            raise CannotMapError(f"there is no scorer `{found.use}` here")
        for name in _IGNORED:
            if node.get(name).data is not None:
                self._builder.lose(node.path, node.get(name).line, f"`{name}` of an assertion is not kept")
        args = {**found.args, "negate": asked.inverse != found.args.get("negate", False)}
        if not args["negate"]:
            del args["negate"]
        if found.takes == "metadata":
            args["expected"] = f"metadata.{_kept(case, found.value)}"
        found = found._replace(args=args)
        return _Part(found, self._metric(node), _weight(node), node, differs(node.get("value").data))

    def _metric(self, node: Node) -> str:
        metric = node.get("metric").data
        return checked(metric, node.path, node.line) if isinstance(metric, str) and "{{" not in metric else ""

    def _tell(self, part: _Part) -> None:
        if part.meant.note:
            kind = part.node.get("type").data
            self._builder.lose(
                part.node.path, part.node.line, f"`{kind}` is `{part.meant.use}` here: {part.meant.note}"
            )


def _weight(node: Node) -> float:
    weight = node.get("weight").number("a weight")
    return 1.0 if weight is None else weight


def _provider(node: Node, case: Case) -> Node:
    own = node.get("provider")
    return case.provider if own.data is None and case.provider is not None else own


def _written(part: _Part, refers: bool) -> dict[str, Any]:
    """A part of a set; with `refers` what it expects stands in the case's reference."""
    args = dict(part.meant.args)
    if part.meant.takes == "values" and not refers:
        args["values"] = part.meant.value
    written: dict[str, Any] = {"use": part.meant.use}
    if args:
        written["args"] = args
    if part.weight != 1:
        written["weight"] = part.weight
    if part.metric:
        written["name"] = part.metric
    return written


def _kept(case: Case, value: Any) -> str:
    """The key of the case's metadata that holds `value` from now on."""
    number, key = 1, "expected_tools"
    while case.metadata.get(key, value) != value:
        number += 1
        key = f"expected_tools_{number}"
    case.metadata[key] = value
    return key
