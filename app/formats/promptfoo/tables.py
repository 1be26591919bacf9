"""promptfoo's tests as CSV: a row is a case, and columns such as `__expected` hold assertions."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from app.formats.building import Builder
from app.formats.nodes import Node
from app.formats.promptfoo.lists import CannotMapError, separated
from app.formats.sources import Sources

_LISTS = frozenset({"contains-all", "contains-any", "icontains-all", "icontains-any"})
_TYPES = frozenset(
    [
        "agent-rubric",
        "answer-relevance",
        "bleu",
        "classifier",
        "contains",
        "contains-all",
        "contains-any",
        "contains-html",
        "contains-json",
        "contains-sql",
        "contains-xml",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "cost",
        "equals",
        "factuality",
        "finish-reason",
        "g-eval",
        "gleu",
        "guardrails",
        "icontains",
        "icontains-all",
        "icontains-any",
        "is-html",
        "is-json",
        "is-refusal",
        "is-sql",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "is-xml",
        "javascript",
        "latency",
        "levenshtein",
        "llm-rubric",
        "meteor",
        "model-graded-closedqa",
        "model-graded-factuality",
        "moderation",
        "perplexity",
        "perplexity-score",
        "pi",
        "python",
        "regex",
        "rouge-n",
        "ruby",
        "search-rubric",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "skill-used",
        "starts-with",
        "tool-call-f1",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "trajectory:goal-success",
        "trajectory:step-count",
        "trajectory:tool-args-match",
        "trajectory:tool-sequence",
        "trajectory:tool-used",
        "webhook",
        "word-count",
    ]
)
_TYPE = re.compile(
    rf"(not-)?({'|'.join(sorted(_TYPES, key=len, reverse=True))})(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?"
)


def rows(sources: Sources, path: str, builder: Builder) -> Iterator[Node]:
    """Each row as the test that promptfoo makes of it. Refuses uneven rows with their line."""
    csv.field_size_limit(16 * 1024 * 1024)
    reader = csv.reader(io.StringIO(sources.text(path), newline=""), strict=True)
    place = Node.at_line(None, path, 1)
    try:
        header = [name.strip() for name in next(reader, [])]
        before = reader.line_num
        for row in reader:
            place, before = Node.at_line(None, path, before + 1), reader.line_num
            if not row:
                continue
            if len(row) != len(header):
                raise place.refuse(f"{len(row)} fields, and the header has {len(header)}")
            yield _row(list(zip(header, row, strict=True)), path, place.line or 1, builder)
    except csv.Error as error:
        raise Node.at_line(None, path, reader.line_num).refuse(f"not CSV: {error}") from error


def _row(cells: list[tuple[str, str]], path: str, line: int, builder: Builder) -> Node:
    test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}}
    metric = None
    for name, cell in cells:
        if name.startswith("__expected"):
            if cell.strip():
                test["assert"].append(assertion_of(cell.strip()))
        elif name in ("__description", "__metric", "__threshold"):
            if name == "__metric":
                metric = cell or None
            elif cell:
                test[name[2:]] = cell if name == "__description" else _number(cell, Node.at_line(cell, path, line))
        elif name.startswith("__metadata:"):
            key = name.removeprefix("__metadata:")
            if cell.strip():
                many = [part.strip() for part in cell.split(",")]
                test["metadata"][key.removesuffix("[]")] = many if key.endswith("[]") else cell
        elif name.startswith("__"):
            if cell:
                builder.lose(path, line, f"the column {name} is not kept")
        else:
            test["vars"][name] = cell
    for assertion in test["assert"]:
        if metric:
            assertion["metric"] = metric
    return Node.at_line(test, path, line)


def assertion_of(text: str) -> dict[str, Any]:
    """The assertion that a cell such as `contains-any: a, b`, `latency(500)` or a bare expected text stands for."""
    for prefix in ("javascript:", "fn:", "eval:", "python:", "grade:", "llm-rubric:"):
        if text.startswith(prefix):
            kind = {"fn:": "javascript", "eval:": "javascript", "grade:": "llm-rubric"}.get(prefix, prefix[:-1])
            return {"type": kind, "value": text.removeprefix(prefix)}
    if text.startswith("file://"):
        return {"type": "python" if ".py" in text else "javascript", "value": text}
    match = _TYPE.fullmatch(text)
    if match is None:
        return {"type": "equals", "value": text}
    assertion: dict[str, Any] = {"type": (match[1] or "") + match[2]}
    if match[4] is not None:
        value = match[4].strip()
        assertion["value"] = _listed(value) if match[2] in _LISTS else value
    if match[3] is not None:
        assertion["threshold"] = float(match[3])
    return assertion


def _listed(value: str) -> list[str] | str:
    """The texts of a list; one that promptfoo would stumble over stays as it is, and is a loss when it is mapped."""
    try:
        return separated(value)
    except CannotMapError:
        return value


def _number(text: str, node: Node) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise node.refuse(f"{text!r} is no number") from error
