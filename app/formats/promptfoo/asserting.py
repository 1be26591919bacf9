"""Scorers of ours as promptfoo's assertions."""

import json
from collections.abc import Callable
from typing import Any

from app.formats.foreign import literal
from app.formats.writing import Losses

_NEAR = {"bleu": ("bleu", 0.5), "gleu": ("gleu", 0.5), "meteor": ("meteor", 0.5), "rouge_1": ("rouge-n", 0.75)}
_REFERRING = frozenset({"exact_match", "levenshtein", *_NEAR})
_MODES = {"in_order": "in_order", "exact": "exact"}

Args = dict[str, Any]


def refers(scorer: dict[str, Any]) -> bool:
    """Whether a scorer expects something else in each case."""
    use, args = scorer["use"], scorer.get("args", {})
    if use == "assert_set":
        return any(map(refers, args["assert"]))
    if use in ("contains", "starts_with"):
        return "values" not in args
    return use in _REFERRING or "expected" in args


def assertion(scorer: dict[str, Any], item: dict[str, Any] | None, where: str, losses: Losses) -> dict[str, Any] | None:
    """The assertion that a scorer is for an item; None, with a loss, where promptfoo has none.

    Without an `item` the scorer is one that does not refer to any.
    """
    use, args = scorer["use"], dict(scorer.get("args", {}))
    case = item or {}
    if use != "assert_set" and "expected" not in args and refers(scorer) and case.get("reference") is None:
        return None
    if use == "assert_set":
        made = _set(args, item, where, losses)
    else:
        inverse = args.pop("negate", False) != (use == "refusal")  # passed means that nothing was refused there
        made = _kind(use, args, case)
        if made is not None and inverse:
            made = {**made, "type": f"not-{made['type']}"} if made["type"] != _CALLS else None
    if made is None or args:
        shown = scorer.get("name", use)
        losses.add(
            where, f"the scorer {shown!r} has no counterpart in promptfoo with this reference or these arguments"
        )
        return None
    if "name" in scorer:
        made["metric"] = scorer["name"]
    if scorer.get("weight", 1) != 1:
        made["weight"] = scorer["weight"]
    return made


def _set(args: Args, item: dict[str, Any] | None, where: str, losses: Losses) -> dict[str, Any] | None:
    """A set is whole, or it is none."""
    parts = [assertion(part, item, where, losses) for part in args["assert"]]
    if not all(parts):
        return None
    del args["assert"]
    made: dict[str, Any] = {"type": "assert-set", "assert": parts}
    if "threshold" in args:
        made["threshold"] = args.pop("threshold")
    return made


def _kind(use: str, args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    """Takes out of `args` what it could express."""
    writer = _WRITERS.get(use)
    return None if writer is None else writer(args, case)


def _equals(_args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    value = case["reference"]
    if isinstance(value, list):
        if len(value) != 1 or not isinstance(value[0], list):
            return None
        return {"type": "equals", "value": _shown(value[0])}
    return {"type": "equals", "value": value if isinstance(value, dict) else _shown(_text(value))}


def _contains(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    values = args.pop("values", case.get("reference"))
    mode, prefix = args.pop("mode", None), "i" if args.pop("ignore_case", False) else ""
    if isinstance(values, list):
        return {"type": f"{prefix}contains-{mode or 'any'}", "value": [_shown(_text(each)) for each in values]}
    return {"type": f"{prefix}contains", "value": _shown(_text(values))} if mode is None else None


def _starts(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    values = args.pop("values", case.get("reference"))
    if isinstance(values, list | dict) or args.get("ignore_case"):
        return None
    return {"type": "starts-with", "value": _shown(_text(values))}


def _near(use: str) -> Callable[[Args, dict[str, Any]], dict[str, Any] | None]:
    def made(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
        kind, default = _NEAR[use]
        value = case["reference"]
        if args.pop("profile", None) != "promptfoo" or isinstance(value, dict):
            return None
        return {"type": kind, "value": _shown(value), "threshold": args.pop("threshold", default)}

    return made


def _levenshtein(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    value = case["reference"]
    if args.pop("profile", None) != "promptfoo" or isinstance(value, dict | list):
        return None
    return {"type": "levenshtein", "value": _shown(_text(value)), "threshold": args.pop("max_distance", 5.0)}


def _schema(kind: str) -> Callable[[Args, dict[str, Any]], dict[str, Any] | None]:
    return lambda args, _: {"type": kind, "value": args.pop("schema")} if "schema" in args else {"type": kind}


def _xml(args: Args, _case: dict[str, Any]) -> dict[str, Any] | None:
    paths = args.pop("required_elements", [])
    if not all(path.startswith("/") for path in paths):
        return None
    return {"type": "is-xml", **({"value": [path[1:].replace("/", ".") for path in paths]} if paths else {})}


def _limit(kind: str) -> Callable[[Args, dict[str, Any]], dict[str, Any] | None]:
    return lambda args, _: {"type": kind, "threshold": args.pop("threshold")} if "threshold" in args else None


def _perplexity(args: Args, _case: dict[str, Any]) -> dict[str, Any] | None:
    kind = "perplexity-score" if args.pop("form", "perplexity") == "score" else "perplexity"
    return {"type": kind, "threshold": args.pop("threshold")} if "threshold" in args else None


def _words(args: Args, _case: dict[str, Any]) -> dict[str, Any] | None:
    if args.get("unit") != "words" or not {"min", "max"} & args.keys():
        return None
    args.pop("unit")
    return {"type": "word-count", "value": _bounds(args)}


def _finish(args: Args, _case: dict[str, Any]) -> dict[str, Any] | None:
    allowed = args.pop("allowed", ["stop"])
    return {"type": "finish-reason", "value": allowed[0]} if len(allowed) == 1 else None


def _names(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    names = _expected(args, case)
    if names is None or args.pop("repeats", True):
        return None
    return {"type": "tool-call-f1", "value": names, "threshold": args.pop("threshold", 1.0)}


def _order(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    names, mode = _expected(args, case), args.pop("mode", "in_order")
    if names is None:
        return None
    if mode == "any_order":
        return {"type": "trajectory:tool-used", "value": names}
    return {"type": "trajectory:tool-sequence", "value": {"mode": _MODES[mode], "steps": names}}


def _matched(args: Args, case: dict[str, Any]) -> dict[str, Any] | None:
    calls = _expected(args, case)
    if calls is None or len(calls) != 1 or not isinstance(calls[0], dict) or args.pop("threshold", None) != 1:
        return None
    ignored = args.pop("ignore", [])
    value = {"name": calls[0]["name"], "args": calls[0]["arguments"], "mode": args.pop("mode", "exact")}
    return {"type": "trajectory:tool-args-match", "value": {**value, **({"ignore": ignored} if ignored else {})}}


def _steps(args: Args, _case: dict[str, Any]) -> dict[str, Any] | None:
    if not {"min", "max"} & args.keys():
        return None
    tool = {"name": args.pop("tool")} if "tool" in args else {}
    return {"type": "trajectory:step-count", "value": {"type": "tool", **tool, **_bounds(args)}}


def _expected(args: Args, case: dict[str, Any]) -> list[Any] | None:
    """What the case's metadata expects, where the import puts it."""
    root, _, key = args.pop("expected", "").partition(".")
    value = case.get("metadata", {}).get(key) if root == "metadata" else None
    return value if isinstance(value, list) else None


def _bounds(args: Args) -> dict[str, Any]:
    return {key: args.pop(key) for key in ("min", "max") if key in args}


def _shown(value: Any) -> Any:
    """What an assertion expects, so that promptfoo shows it as it is: it fills in templates."""
    if isinstance(value, str):
        return literal(value)
    return [_shown(each) for each in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_CALLS = "is-valid-openai-tools-call"
_WRITERS: dict[str, Callable[[Args, dict[str, Any]], dict[str, Any] | None]] = {
    "exact_match": _equals,
    "contains": _contains,
    "starts_with": _starts,
    "regex": lambda args, _: {"type": "regex", "value": _shown(args.pop("pattern"))},
    "is_json": _schema("is-json"),
    "json_schema": _schema("is-json"),
    "contains_json": _schema("contains-json"),
    "is_xml": _xml,
    "is_html": lambda *_: {"type": "is-html"},
    "cost": _limit("cost"),
    "latency": _limit("latency"),
    "perplexity": _perplexity,
    "length": _words,
    "levenshtein": _levenshtein,
    **{use: _near(use) for use in _NEAR},
    "refusal": lambda *_: {"type": "is-refusal"},
    "finish_reason": _finish,
    "valid_tool_calls": lambda *_: {"type": _CALLS},
    "tool_name_f1": _names,
    "tool_order": _order,
    "argument_match": _matched,
    "step_count": _steps,
}
