"""promptfoo's assertions about tool calls and traces as scorers."""

import re
from collections.abc import Callable
from typing import Any

from app.formats.promptfoo.lists import CannotMapError, separated
from app.formats.promptfoo.meaning import Asked, Meant
from app.formats.promptfoo.values import bounds_of, texts_of


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


KINDS: dict[str, Callable[[Asked], Meant]] = {
    "tool-call-f1": _names,
    "trajectory:tool-used": _tool_used,
    "trajectory:tool-sequence": _tool_sequence,
    "trajectory:tool-args-match": _tool_args,
    "trajectory:step-count": _step_count,
}
