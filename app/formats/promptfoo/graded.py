"""promptfoo's assertions that ask a model, as our judges, when the config names the model that judges."""

import re
from collections.abc import Callable
from typing import Any

from app.formats.building import Builder
from app.formats.foreign import literal
from app.formats.nodes import Node
from app.formats.promptfoo.lists import CannotMapError
from app.formats.promptfoo.meaning import PROFILE, Asked, Meant
from app.formats.promptfoo.values import text_of, texts_of
from app.formats.providers import endpoint_of

ASKING = ("endpoint", "embeddings")
"""Arguments that say whom a scorer asks; the service takes them away before it builds the scorer."""
_TAG = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_EMBEDDINGS = re.compile(r"(\w[\w-]*):embeddings?:(.+)", re.DOTALL)
_PASS = {"pass": 1.0, "fail": 0.0}


class Judges:
    """The endpoints that a config names for judging, each made once."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: dict[str, str | None] = {}

    def text(self, provider: Node, kind: str) -> str:
        """The endpoint that judges. Raises CannotMapError when there is none."""
        return self._named(_part(provider, "text"), f"`{kind}` asks a model, and none is named that can be an endpoint")

    def embeddings(self, provider: Node, kind: str) -> str:
        """The endpoint that makes vectors. Raises CannotMapError when there is none."""
        part = _part(provider, "embedding")
        data = part.data.get("id") if isinstance(part.data, dict) else part.data
        if not isinstance(data, str) or not _EMBEDDINGS.fullmatch(data):
            part = provider.get("no such part")
        return self._named(part, f"`{kind}` compares vectors, and no model is named that makes them")

    def _named(self, provider: Node, lacking: str) -> str:
        key = repr(provider.data)
        if provider.data is not None and key not in self._known:
            self._known[key] = self._endpoint(provider)
        name = self._known.get(key)
        if name is None:
            where = "as `defaultTest.options.provider`" + (
                ": {embedding: openai:embedding:…}" if "vectors" in lacking else ""
            )
            raise CannotMapError(
                f"{lacking}; name one {where}, or add the scorer with an endpoint of yours to the suite"
            )
        return name

    def _endpoint(self, provider: Node) -> str | None:
        fields = {"id": provider} if isinstance(provider.data, str) else dict(provider.fields())
        if "id" not in fields or not isinstance(fields["id"].data, str):
            return None
        model, label = fields["id"].data, fields["label"].optional_text("a label") if "label" in fields else ""
        if found := _EMBEDDINGS.fullmatch(model):
            model = f"{found[1]}:{found[2]}"
        return endpoint_of(self._builder, model, fields["id"], label, fields.get("config"))


def _part(provider: Node, part: str) -> Node:
    """`provider` itself, or that of its parts (`text`, `embedding`) that is asked for this."""
    if isinstance(provider.data, dict) and "id" not in provider.data:
        return provider.get(part)
    return provider


def graded(asked: Asked, raw: Any, provider: Node, judges: Judges) -> Meant | None:
    """The judge that an assertion is; None for a type that is not in this file. `raw` is its value before it was filled in.

    Raises CannotMapError, also when nobody is named to ask.
    """
    kind, _, distance = asked.kind.partition(":") if asked.kind.startswith("similar") else (asked.kind, "", "")
    made = _KINDS.get(kind)
    if made is None:
        return None
    meant = made(asked, raw)
    who = {}
    if kind != "similar":
        who["endpoint"] = judges.text(provider, asked.kind)
    if kind in ("similar", "answer-relevance"):
        who["embeddings"] = judges.embeddings(provider, asked.kind)
    if distance in ("dot", "euclidean"):
        who["measure_by"] = distance
    return meant._replace(args={**meant.args, **who})


def _rubric(asked: Asked, raw: Any) -> Meant:
    if isinstance(asked.value, dict | list):
        raise CannotMapError("its value is no text")
    args: dict[str, Any] = {"instructions": f"Does the answer meet this criterion?\n\n{_template(asked, raw)}"}
    threshold = asked.threshold()
    how = {"labels": _PASS} if threshold is None else {"scale": {"low": 0, "high": 1}, "threshold": threshold}
    return Meant("rubric", {**args, **how}, note=_OWN)


def _g_eval(asked: Asked, raw: Any) -> Meant:
    if isinstance(asked.value, list):
        raise CannotMapError("several criteria in one are not kept; write one assertion for each")
    args = {"instructions": _template(asked, raw), "threshold": asked.threshold(0.7)}
    return Meant("g_eval", args, note=_OWN)


def _closed_qa(asked: Asked, _raw: Any) -> Meant:
    return Meant("closed_qa", {"criteria": text_of(asked.value)}, note=_OWN)


def _factuality(asked: Asked, _raw: Any) -> Meant:
    return Meant("factuality", {**PROFILE, "threshold": 1.0}, "reference", text_of(asked.value), _OWN)


def _context(use: str) -> Callable[[Asked, Any], Meant]:
    def made(asked: Asked, _raw: Any) -> Meant:
        note = f"{_OWN}; the context is what retrieval found here, and the variable `context` there"
        args = {"threshold": asked.threshold(0.5)}
        if use == "context_recall":
            return Meant(use, args, "reference", text_of(asked.value), note)
        return Meant(use, args, note=note)

    return made


def _relevance(asked: Asked, _raw: Any) -> Meant:
    return Meant("answer_relevance", {"threshold": asked.threshold(0.5)}, note=_OWN)


def _goal(asked: Asked, _raw: Any) -> Meant:
    goal = asked.value.get("goal") if isinstance(asked.value, dict) else asked.value
    return Meant("goal_success", {"goal": text_of(goal)}, note=_OWN)


def _select_best(asked: Asked, raw: Any) -> Meant:
    criteria = f"Choose by this criterion: {_template(asked, raw)}"
    return Meant("select_best", {"instructions": criteria, "threshold": 1.0}, note=_OWN)


def _similar(asked: Asked, _raw: Any) -> Meant:
    value = texts_of(asked.value) if isinstance(asked.value, list) else text_of(asked.value)
    return Meant("embedding_similarity", {"threshold": asked.threshold(0.75)}, "reference", value)


_OWN = "the judge is asked with our words, so that its verdicts may differ"


def _template(asked: Asked, raw: Any) -> str:
    """Instructions of ours: one template for all cases where their variables alone are named, else this case's text."""
    text = text_of(asked.value)
    if not isinstance(raw, str) or re.search(r"\{[{%#]", _TAG.sub("", raw)):
        return literal(text)
    parts = _TAG.split(raw)
    return "".join(f"{{{{ inputs.{part} }}}}" if i % 2 else literal(part) for i, part in enumerate(parts))


_KINDS: dict[str, Callable[[Asked, Any], Meant]] = {
    "llm-rubric": _rubric,
    "g-eval": _g_eval,
    "model-graded-closedqa": _closed_qa,
    "factuality": _factuality,
    "model-graded-factuality": _factuality,
    "answer-relevance": _relevance,
    "context-faithfulness": _context("faithfulness"),
    "context-recall": _context("context_recall"),
    "select-best": _select_best,
    "similar": _similar,
    "trajectory:goal-success": _goal,
}
