"""Whether the output is YAML."""

from collections.abc import Container
from typing import Any

from evaluators.contract import Sample, Score, Scorer
from evaluators.text import clip

# What the document may hold once its aliases are written out.
_MOST_NODES = 1_000_000
_DEEPEST = 200


class IsYAML(Scorer, frozen=True):
    """1 when the whole output is one YAML document that holds a mapping or a sequence, else 0.

    `scalars` also lets a single value pass; nearly any text is one. The document is read as a safe loader would: tags
    for objects of a language (`!!python/object`) are refused, so are aliases without an anchor or to a part that they
    stand in, more than a million nodes once aliases are written out (an alias bomb), and more than 200 levels. Several
    documents are 0, so is an empty output or one of comments; a code fence is not YAML. Range {0, 1}, higher is better.

    Source: YAML 1.1 (yaml.org/spec/1.1) by PyYAML, by libyaml where it is built in.
    """

    name = "is_yaml"
    version = 2
    binary = True

    scalars: bool = False

    def measure(self, sample: Sample) -> Score:
        reason = _fault(sample.output, scalars=self.scalars)
        if reason is not None:
            return self.scored(0.0, f"the output is not YAML: {reason}; found {clip(sample.output)}")
        return self.scored(1.0, "the output is YAML")


def _fault(text: str, *, scalars: bool) -> str | None:
    import yaml

    if not text.strip():
        return "it is empty"
    # Events come one by one, from a parser that does not recurse; no object is built.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = _Document(yaml.SafeLoader.yaml_constructors, scalars=scalars)
    try:
        for event in yaml.parse(text, Loader=loader):
            document.see(event)
    except UnicodeError:
        return "it holds a lone surrogate"
    except (_FaultError, yaml.YAMLError) as exc:
        return " ".join(str(exc).split())[:200]
    return None if document.count else "it holds nothing but comments"


class _FaultError(Exception):
    pass


class _Document:
    """Counts nodes as they come, those behind aliases as often as they are named."""

    def __init__(self, tags: Container[str | None], *, scalars: bool) -> None:
        self._tags, self._scalars = tags, scalars
        self.count = 0
        self._open: list[tuple[str | None, int]] = []  # anchors, and the count of nodes when they began
        self._sizes: dict[str, int] = {}
        self._nodes = 0

    def see(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._node(event)
            if event.anchor is not None:
                self._sizes[event.anchor] = 1
            if not self._open and not self._scalars:
                raise _FaultError("it is a single value, neither mapping nor sequence")
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._node(event)
            self._sizes.pop(event.anchor, None)
            self._open.append((event.anchor, self._nodes - 1))
            if len(self._open) > _DEEPEST:
                raise _FaultError(f"it is nested more than {_DEEPEST} levels deep")
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._nodes - before
        elif kind == "AliasEvent":
            if event.anchor not in self._sizes:
                raise _FaultError(f"the alias *{event.anchor[:50]} has no anchor before it")
            self._count(self._sizes[event.anchor])
        elif kind == "DocumentStartEvent":
            self.count += 1
            if self.count > 1:
                raise _FaultError("it holds several documents")

    def _node(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!" and event.tag not in self._tags:
            raise _FaultError(f"the tag {event.tag[:80]} is refused")
        self._count(1)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > _MOST_NODES:
            raise _FaultError(f"its aliases stand for more than {_MOST_NODES:,} nodes")
