"""Tool configurations: OpenAI function schemas and what answers a call."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.registry.kinds.base import Content, Kind, Tag, schema_problems


class Function(Content, frozen=True):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class Tool(Content, frozen=True):
    function: Function
    type: Literal["function"] = "function"


class Results(Content, frozen=True):
    """`none`: the call is the answer. `recorded`: `recorded` maps a tool's name to its result. `http`: `url` is called."""

    kind: Literal["none", "recorded", "http"] = "none"
    recorded: dict[str, Any] = {}
    url: str | None = None


class ToolConfig(Content, frozen=True):
    tools: Annotated[list[Tool], msgspec.Meta(min_length=1)]
    description: str = ""
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    max_rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 4
    results: Results = msgspec.field(default_factory=Results)
    tags: list[Tag] = []


def problems(config: ToolConfig) -> Iterable[FieldError]:
    seen: set[str] = set()
    for i, tool in enumerate(config.tools):
        if tool.function.name in seen:
            yield FieldError(f"/tools/{i}/function/name", f"two tools are named {tool.function.name!r}")
        seen.add(tool.function.name)
        yield from schema_problems(tool.function.parameters, f"/tools/{i}/function/parameters")
    for name in config.results.recorded:
        if name not in seen:
            yield FieldError(
                f"/results/recorded/{escape(name)}", f"there is no tool {name!r}; there is {', '.join(sorted(seen))}"
            )
    if config.results.kind == "http":
        yield FieldError("/results/kind", "'http' is not available yet; use 'recorded' or 'none'")
    if isinstance(config.tool_choice, str) and config.tool_choice not in ("auto", "none", "required"):
        yield FieldError("/tool_choice", "use auto, none, required, or {type: function, function: {name: …}}")


KIND = Kind(
    "tool_config",
    "tool-configs",
    ".tools.yaml",
    ToolConfig,
    ("tools", "tool_choice", "parallel_tool_calls", "max_rounds", "results"),
    problems=problems,
)
