"""Checks that `docs/scorers.md` says what the registry knows: `python -m tests.scorers_page`, with `--write` to write it.

What stands above the mark is written by hand; all below it is made from the scorers' docstrings and arguments.
"""

import difflib
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from evaluators.registry import Description, bundled, describe

PAGE = Path(__file__).parent.parent / "docs" / "scorers.md"
MARK = "<!-- all below is made by python -m tests.scorers_page --write -->\n"
FAMILIES = {
    "reference": "Compared with a reference",
    "heuristic": "Properties of the answer",
    "retrieval": "Retrieval and grounding",
    "tools": "Tool calls and trajectories",
    "judge": "Judged by a model",
    "": "Combinations",
}
COMMON = {"threshold", "negate"}


def generated() -> str:
    """The made part of the page: for each family a table, then each scorer with its arguments."""
    known = [describe(scorer.name) for scorer in bundled()]
    parts = [MARK]
    for family, title in FAMILIES.items():
        members = sorted((one for one in known if _family(one) == family), key=lambda one: one.name)
        if members:
            parts += [f"\n## {title}\n", *_table(members), *(_section(one) for one in members)]
    return "".join(parts)


def _family(one: Description) -> str:
    folders = one.origin.split(".")[1:-1]
    return folders[0] if folders and folders[0] in FAMILIES else ""


def _table(members: list[Description]) -> list[str]:
    rows = [
        f"| [`{one.name}`](#{one.name}) | {_cell(one.summary)} | {_range(one)} | {_needs(one)} |\n" for one in members
    ]
    return ["\n| scorer | what | values | needs |\n|---|---|---|---|\n", *rows]


def _section(one: Description) -> str:
    extra = f"\nInstall `promptward[{one.extra}]` for it.\n" if one.extra else ""
    arguments = _arguments(one.schema)
    example = yaml.safe_dump(_entry(one), sort_keys=False, allow_unicode=True) if one.example else ""
    shown = f"\n```yaml\n{example}```\n" if example else ""
    return f"\n### {one.name}\n\n{one.doc}\n\nVersion {one.version}.\n{extra}{arguments}{shown}"


def _entry(one: Description) -> list[dict[str, Any]]:
    args = dict(one.example)
    if "judge" in one.needs:
        args["endpoint"] = "judge"
    if "embeddings" in one.needs:
        args["embeddings"] = "embedder"
    return [{"use": one.name, "args": args}]


def _arguments(schema: dict[str, Any]) -> str:
    properties = {name: each for name, each in schema["properties"].items() if name not in COMMON}
    if not properties:
        return ""
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(each, schema)} | {'required' if name in required else _default(each)} |\n"
        for name, each in properties.items()
    ]
    return "".join(["\n| argument | type | default |\n|---|---|---|\n", *rows])


def _type(each: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in each:
        return _type(schema["$defs"][each["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in each:
        return " or ".join(dict.fromkeys(_type(one, schema) for one in each["anyOf"]))
    if "enum" in each:
        return ", ".join(f"`{value}`" for value in each["enum"])
    if each.get("type") == "array":
        return f"list of {_type(each.get('items', {}), schema)}" if each.get("items") else "list"
    if each.get("type") == "object":
        named = ", ".join(each.get("properties", {}))
        of = each.get("additionalProperties")
        if named:
            return f"object ({named})"
        return f"object of {_type(of, schema)}" if isinstance(of, dict) and of else "object"
    bounds = [
        f"{sign} {each[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in each
    ]
    return " ".join([str(each.get("type", "anything")), *bounds])


def _default(each: dict[str, Any]) -> str:
    if "default" not in each:
        return ""
    value = each["default"]
    return "none" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def _range(one: Description) -> str:
    read = one.value_range
    high = "…" if read.high is None else f"{read.high:g}"
    better = "more" if read.direction == "maximize" else "less"
    values = f"{{{read.low:g}, {high}}}" if one.binary else f"[{read.low:g}, {high}]"
    return f"{values}{f' {read.unit}' if read.unit else ''}, {better} is better"


def _needs(one: Description) -> str:
    return ", ".join(need.replace("_", " ") for need in one.needs) or "the answer alone"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    by_hand, mark, present = page.partition(MARK)
    if not mark:
        sys.exit(f"{PAGE.name} lacks the line {MARK.strip()}")
    now = generated()
    if "--write" in sys.argv:
        PAGE.write_text(by_hand + now, encoding="utf-8")
        return
    difference = list(
        difflib.unified_diff((mark + present).splitlines(), now.splitlines(), "docs", "scorers", lineterm="")
    )
    if difference:
        print("\n".join(difference))
        sys.exit("docs/scorers.md is not what the registry says; run `python -m tests.scorers_page --write`")
    print("docs/scorers.md says what the registry knows")


if __name__ == "__main__":
    main()
