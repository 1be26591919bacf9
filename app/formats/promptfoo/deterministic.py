"""promptfoo's assertions that ask no model, as scorers with the meaning that promptfoo 0.123 gives them."""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from app.formats.nodes import Node
from app.formats.promptfoo.lists import CannotMapError, separated
from app.formats.promptfoo.values import bounds_of, schema_of, text_of, texts_of

PROFILE = {"profile": "promptfoo"}
_UNICODE = re.compile(r"\\u(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))")
# Flags within the pattern, named groups of Python, and escapes that are letters in JavaScript.
_OTHERWISE = re.compile(r"(?<!\\)(?:\\\\)*(\(\?[^:=!<]|\\[AzQECpPa]|\\x\{|\[\[:)")
_DIALECTS = {
    "athena": "athena",
    "bigquery": "bigquery",
    "flinksql": "",
    "hive": "hive",
    "mariadb": "mysql",
    "mysql": "mysql",
    "noql": "",
    "postgresql": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "sqlite": "sqlite",
    "transactsql": "tsql",
    "trino": "trino",
}


class Meant(NamedTuple):
    """A scorer without what the case expects. `takes` says where that goes: into the item's reference, either there or into
    the scorer, into the item's metadata (from where the argument `expected` reads it), or nowhere.

    `note` is told as a loss: what comes out otherwise here.
    """

    use: str
    args: dict[str, Any] = {}
    takes: Literal["reference", "values", "metadata", "nothing"] = "nothing"
    value: Any = None
    note: str = ""


class Asked(NamedTuple):
    """An assertion: its type without `not-`, whether that stood there, its place, and its value filled in."""

    kind: str
    inverse: bool
    node: Node
    value: Any

    def threshold(self, default: float | None = None) -> float | None:
        given = self.node.get("threshold").number("a threshold")
        return default if given is None else given


def meant(asked: Asked) -> Meant | None:
    """The scorer that an assertion is; None for a type that is not in this file. Raises CannotMapError."""
    made = _KINDS.get(asked.kind)
    return None if made is None else made(asked)


def _phrase(**args: Any) -> Callable[[Asked], Meant]:
    return lambda asked: Meant("contains", args, "values", text_of(asked.value))


def _phrases(**args: Any) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        texts = texts_of(asked.value)
        # Every output has the empty text, which so decides nothing where all are wanted.
        return Meant("contains", args, "values", [each for each in texts if each] if "mode" in args else texts)

    return made


def _equals(asked: Asked) -> Meant:
    if not isinstance(asked.value, dict | list):
        return Meant("exact_match", {}, "reference", text_of(asked.value))
    note = "an output that is no JSON fails here, and passes there" if asked.inverse else ""
    # A list of alternatives with one alternative, which is a list itself.
    return Meant("exact_match", {}, "reference", [asked.value] if isinstance(asked.value, list) else asked.value, note)


def _regex(asked: Asked) -> Meant:
    pattern = text_of(asked.value)
    if found := _OTHERWISE.search(pattern):
        raise CannotMapError(f"JavaScript reads {found[1]!r} otherwise, or not at all; write it in another way")
    pattern = _UNICODE.sub(lambda found: f"\\x{{{found[1] or found[2]}}}", pattern)
    return Meant("regex", {"pattern": pattern})


def _is_json(asked: Asked) -> Meant:
    if asked.value in (None, "", {}):
        return Meant("is_json")
    note = "an output that is no JSON fails here, and passes there" if asked.inverse else ""
    return Meant("json_schema", {"schema": schema_of(asked.node.path, asked.value)}, note=note)


def _contains_json(asked: Asked) -> Meant:
    schema = {} if asked.value in (None, "", {}) else {"schema": schema_of(asked.node.path, asked.value)}
    return Meant("contains_json", schema)


def _xml(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        value = asked.value.get("requiredElements") if isinstance(asked.value, dict) else asked.value
        if value in (None, "", [], {}):
            return Meant(use)
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else texts_of(value)
        return Meant(use, {"required_elements": names})

    return made


def _sql(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        value = asked.value or {}
        if not isinstance(value, dict):
            raise CannotMapError("its value is no mapping")
        named = str(value.get("databaseType") or "MySQL")
        dialect = _DIALECTS.get(named.lower())
        if dialect is None:
            raise CannotMapError(f"{named} is no dialect that is known here")
        args: dict[str, Any] = {"dialect": dialect} if dialect else {}
        note = "the statement is read by another parser (sqlglot), which accepts and refuses some others"
        for key, field in (("allowedTables", "allowed_tables"), ("allowedColumns", "allowed_columns")):
            if value.get(key) is not None:
                args[field] = texts_of(value[key])
        return Meant(use, args, note=note)

    return made


def _near(use: str, threshold: float, *, many: bool) -> Callable[[Asked], Meant]:
    """A text near the reference, from a threshold."""

    def made(asked: Asked) -> Meant:
        value = asked.value
        if isinstance(value, list) and not (many and value and all(isinstance(each, str) for each in value)):
            raise CannotMapError("its value is no text" + (" and no list of texts" if many else ""))
        args = {**PROFILE, "threshold": asked.threshold(threshold)}
        return Meant(use, args, "reference", value if isinstance(value, list) else text_of(value))

    return made


def _limit(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        threshold = asked.threshold()
        if threshold is None:
            raise CannotMapError("it has no threshold")
        return Meant(use, {"threshold": threshold})

    return made


def _perplexity(**args: Any) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        threshold = asked.threshold()
        if threshold is None:
            return Meant(
                "perplexity", args, note="without a threshold it never fails; it is measured, and decides nothing"
            )
        return Meant("perplexity", {**args, "threshold": threshold})

    return made


def _words(asked: Asked) -> Meant:
    return Meant("length", {"unit": "words", **bounds_of(asked.value)})


def _refusal(_asked: Asked) -> Meant:
    return Meant("refusal", note="what counts as a refusal is our own list of phrases, and an empty output is none")


def _finish_reason(asked: Asked) -> Meant:
    note = "an answer whose endpoint gave no reason is skipped here, and fails there"
    return Meant("finish_reason", {"allowed": [text_of(asked.value)]}, note=note)


def _calls(asked: Asked) -> Meant:
    if asked.inverse:
        raise CannotMapError("promptfoo overlooks the `not-` of this type; write what is meant")
    return Meant("valid_tool_calls", note="an answer without a tool call is skipped here, and fails there")


def _names(asked: Asked) -> Meant:
    names = separated(asked.value) if isinstance(asked.value, str) else texts_of(asked.value)
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise CannotMapError("it names no tool")
    note = "the value is 1 - F1 here, and F1 there; it passes and fails alike" if asked.inverse else ""
    return Meant("tool_name_f1", {"repeats": False, "threshold": asked.threshold(1.0)}, "metadata", names, note)


def _tool_used(asked: Asked) -> Meant:
    if isinstance(asked.value, dict):
        given = bounds_of(
            {"min": 1, **{key: asked.value[key] for key in ("min", "max") if asked.value.get(key) is not None}}
        )
        return Meant("step_count", {"tool": _tool(asked.value), **given})
    names = list(
        dict.fromkeys(_tool(each) for each in ([asked.value] if isinstance(asked.value, str) else asked.value or []))
    )
    if asked.inverse and len(names) > 1:
        raise CannotMapError("none of several tools may be used; write one assertion for each")
    return Meant("tool_order", {"mode": "any_order"}, "metadata", names)


def _tool_sequence(asked: Asked) -> Meant:
    value = asked.value if isinstance(asked.value, dict) else {"steps": asked.value}
    steps = [_tool(each) for each in value.get("steps") or []]
    if not steps:
        raise CannotMapError("it names no step")
    return Meant("tool_order", {"mode": "exact" if value.get("mode") == "exact" else "in_order"}, "metadata", steps)


def _tool_args(asked: Asked) -> Meant:
    value = asked.value if isinstance(asked.value, dict) else {}
    expected = value.get("args", value.get("arguments"))
    ignored = value.get("ignore") or []
    ignored = [ignored] if isinstance(ignored, str) else ignored
    if not isinstance(expected, dict):
        raise CannotMapError("its `args` are no mapping")
    if value.get("defaults"):
        raise CannotMapError("`defaults` have no counterpart; name them in `ignore` or in `args`")
    if any(re.search(r"[*?]", str(each)) for each in ignored):
        raise CannotMapError("`ignore` with * or ? has no counterpart; name the arguments")
    mode = value.get("mode") or "partial"
    nested = mode == "partial" and any(isinstance(each, dict | list) for each in expected.values())
    note = "objects within the arguments are to be equal here, and may hold more there" if nested else ""
    args = {"mode": mode, "threshold": 1.0, **({"ignore": ignored} if ignored else {})}
    return Meant("argument_match", args, "metadata", [{"name": _tool(value), "arguments": expected}], note)


def _step_count(asked: Asked) -> Meant:
    value = asked.value if isinstance(asked.value, dict) else {}
    if value.get("type") not in ("tool", ["tool"]):
        raise CannotMapError("it counts all spans of a trace; with `type: tool` it is step_count")
    tool = {"tool": _tool(value)} if value.get("name") or value.get("pattern") else {}
    return Meant("step_count", {**tool, **bounds_of(value)})


def _tool(step: Any) -> str:
    if isinstance(step, dict):
        if step.get("type", "tool") != "tool":
            raise CannotMapError("a step that is no tool call has no counterpart")
        step = step.get("pattern") or step.get("name")
    if not isinstance(step, str) or not step.strip():
        raise CannotMapError("a step names no tool")
    if re.search(r"[*?]", step):
        raise CannotMapError(f"{step!r} stands for several tools; name them")
    return step


_KINDS: dict[str, Callable[[Asked], Meant]] = {
    "equals": _equals,
    "contains": _phrase(),
    "icontains": _phrase(ignore_case=True),
    "contains-any": _phrases(),
    "icontains-any": _phrases(ignore_case=True),
    "contains-all": _phrases(mode="all"),
    "icontains-all": _phrases(mode="all", ignore_case=True),
    "starts-with": lambda asked: Meant("starts_with", {}, "values", text_of(asked.value)),
    "regex": _regex,
    "is-json": _is_json,
    "contains-json": _contains_json,
    "is-xml": _xml("is_xml"),
    "contains-xml": _xml("contains_xml"),
    "is-html": lambda _: Meant("is_html"),
    "contains-html": lambda _: Meant("contains_html"),
    "is-sql": _sql("is_sql"),
    "contains-sql": _sql("contains_sql"),
    "is-valid-openai-tools-call": _calls,
    "is-valid-function-call": _calls,
    "is-valid-openai-function-call": _calls,
    "tool-call-f1": _names,
    "levenshtein": _near("levenshtein", 5, many=False),
    "bleu": _near("bleu", 0.5, many=True),
    "gleu": _near("gleu", 0.5, many=True),
    "meteor": _near("meteor", 0.5, many=True),
    "rouge-n": _near("rouge_1", 0.75, many=False),
    "word-count": _words,
    "latency": _limit("latency"),
    "cost": _limit("cost"),
    "perplexity": _perplexity(),
    "perplexity-score": _perplexity(form="score"),
    "is-refusal": _refusal,
    "finish-reason": _finish_reason,
    "trajectory:tool-used": _tool_used,
    "trajectory:tool-sequence": _tool_sequence,
    "trajectory:tool-args-match": _tool_args,
    "trajectory:step-count": _step_count,
}
