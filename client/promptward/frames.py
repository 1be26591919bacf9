"""A run's export as a table of pandas, which is imported only here, and only when it is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from promptward.errors import PromptwardError

if TYPE_CHECKING:
    import pandas

INDEX = ("variant", "case", "repeat")
COLUMNS = {
    "status": "string",
    "text": "string",
    "error": "string",
    "error_kind": "string",
    "inputs": "object",
    "reference": "object",
    "tags": "object",
    "tool_calls": "object",
    "finish_reason": "string",
    "model": "string",
    "prompt_tokens": "Int64",
    "completion_tokens": "Int64",
    "cost_usd": "Float64",
    "latency_ms": "Float64",
    "ttft_ms": "Float64",
    "cached": "boolean",
}
METRIC = {"": "Float64", ".passed": "boolean", ".status": "string", ".label": "string"}
_OF_RESULT = ("status", "error", "error_kind", "inputs", "reference", "tags")
_OF_USAGE = ("prompt_tokens", "completion_tokens")
_OF_ANSWER = [name for name in COLUMNS if name not in (*_OF_RESULT, *_OF_USAGE)]


class Frame:
    """Takes the pieces of an export in JSON lines; nothing of it is held twice. `metrics` are those of the run."""

    def __init__(self, metrics: Sequence[str]) -> None:
        """Raises PromptwardError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise PromptwardError(
                "a DataFrame needs pandas: pip install 'promptward-client[pandas]'", slug="pandas-missing"
            ) from None
        self._pandas = pandas
        self._rest: list[bytes] = []
        self._rows = 0
        self._known: dict[str, None] = {}
        self._index: dict[str, list[Any]] = {name: [] for name in INDEX}
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._types: dict[str, str] = dict(COLUMNS)
        for metric in dict.fromkeys(metrics):
            self._metric(metric)

    def add(self, piece: bytes) -> None:
        """The next piece of the file; a line may be in several."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._rest.append(line)
            if whole := b"".join(self._rest):
                self._add(msgspec.json.decode(whole))
            self._rest.clear()
        self._rest.append(rest)

    def made(self) -> "pandas.DataFrame":
        """The table. Its columns have types that hold missing values."""
        if b"".join(self._rest):
            raise PromptwardError(
                "the export broke off in the middle of a line; ask for it again", slug="broken-export"
            )
        series = self._pandas.Series
        columns = {name: series(self._columns[name], dtype=kind) for name, kind in self._types.items()}
        frame = self._pandas.DataFrame(columns)
        frame.index = self._pandas.MultiIndex.from_arrays(list(self._index.values()), names=INDEX)
        return frame

    def _add(self, result: dict[str, Any]) -> None:
        for name, values in self._index.items():
            values.append(result[name])
        answer = result["answer"] or {}
        usage = answer.get("usage") or {}
        for name in _OF_RESULT:
            self._columns[name].append(result.get(name))
        for name in _OF_ANSWER:
            self._columns[name].append(answer.get(name))
        for name in _OF_USAGE:
            self._columns[name].append(usage.get(name))
        scores = result["scores"]
        for metric in scores:
            self._metric(metric)
        for metric in self._known:
            score = scores.get(metric) or {}
            for part in METRIC:
                self._columns[_column(metric) + part].append(score.get(part.removeprefix(".") or "value"))
        self._rows += 1

    def _metric(self, metric: str) -> None:
        """A run at work may have metrics that its summary does not name yet: rows before have nothing there."""
        if metric not in self._known:
            self._known[metric] = None
            for part, kind in METRIC.items():
                self._columns[_column(metric) + part] = [None] * self._rows
                self._types[_column(metric) + part] = kind


def _column(metric: str) -> str:
    """A metric's own name, unless a column has it already."""
    return f"score.{metric}" if metric in COLUMNS or metric in INDEX else metric
