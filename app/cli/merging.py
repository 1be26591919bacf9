"""A project file that takes over what the registry holds, and keeps everything else as it is written."""

import re
from collections.abc import Collection
from typing import Any

from app.cli.exits import UserError
from app.settings import PROJECT_FILE

Entry = tuple[str, str]
"""A section of the project file and a name in it, such as `endpoints` and `dev/large`."""
_TEXT, _MAP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map"


def merged(mine: str, theirs: str, taken: Collection[Entry]) -> str:
    """`mine` with the entries of `theirs` that it lacks or that are `taken`; all others keep their text and comments.

    Raises `UserError` where the result would not say that, as with anchors that a taken entry held.
    """
    import yaml

    try:
        have, new = _texts(mine), _texts(theirs)
        expected = dict(have)
        for section, entries in new.items():
            before = have.get(section) or {}
            take = {name: e for name, e in entries.items() if name not in before or (section, name) in taken}
            if take:
                expected[section] = {**before, **take}
        if expected == have:
            return mine
        for text in (_spliced(mine, theirs, taken), _rewritten(mine, theirs, taken)):
            if text is not None and _texts(text) == expected:
                return text
    except yaml.YAMLError as error:
        raise UserError(f"{PROJECT_FILE} cannot be merged: {' '.join(str(error).split())}") from error
    raise UserError(f"{PROJECT_FILE} cannot be merged; move it away, and export writes a new one")


def _texts(text: str) -> dict[str, Any]:
    """The file with every value as the text that it is written with; an empty one is an empty text."""
    import yaml

    found: Any = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings alone
    if not isinstance(found, dict):
        raise UserError(f"{PROJECT_FILE} holds no mapping; move it away, and export writes a new one")
    return found


def _rewritten(mine: str, theirs: str, taken: Collection[Entry]) -> str:
    """The merged text where a section is in one line: it is written anew, without its comments."""
    import yaml

    ours, others, blocks = _nodes(mine), _nodes(theirs), sections(mine)
    for section, new in others.items():
        old = ours.get(section, {})
        take = {name: node for name, node in new.items() if name not in old or (section, name) in taken}
        if take:
            pairs = [(yaml.ScalarNode(_TEXT, name), node) for name, node in (old | take).items()]
            entries = [(yaml.ScalarNode(_TEXT, section), yaml.MappingNode(_MAP, pairs, flow_style=False))]
            whole = yaml.MappingNode(_MAP, entries, flow_style=False)
            blocks[section] = yaml.serialize(whole, Dumper=yaml.SafeDumper, allow_unicode=True)
    return "".join(_ended(block) for block in blocks.values())


def _nodes(text: str) -> dict[str, dict[str, Any]]:
    """The parsed entries of each section that has some, by name."""
    import yaml

    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    return {
        key.value: {name.value: node for name, node in value.value}
        for key, value in root.value
        if isinstance(value, yaml.MappingNode)
    }


def sections(text: str) -> dict[str, str]:
    """A YAML mapping's entries by name, each with its lines and the comments above it."""
    return _blocks(text.splitlines(keepends=True), re.compile(r"([A-Za-z_]+)(?=:)"), "")[1]


def _spliced(mine: str, theirs: str, taken: Collection[Entry]) -> str | None:
    """The merged text, entry by entry; None where a section is not written as one entry below the other."""
    blocks, new = sections(mine), sections(theirs)
    for section, block in new.items():
        if section not in blocks:
            blocks[section] = block
            continue
        head, entries = _entries(blocks[section])
        _, others = _entries(block)
        if not entries or not others:
            return None
        for name, other in others.items():
            if name not in entries or (section, name) in taken:
                entries[name] = other
        blocks[section] = "".join(_ended(part) for part in (head, *entries.values()))
    return "".join(_ended(block) for block in blocks.values())


def _entries(block: str) -> tuple[str, dict[str, str]]:
    """What stands before a section's first entry, and its entries by name."""
    lines = block.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if re.match(r"[A-Za-z_]+:", line)), 0)
    indent = next((m[1] for line in lines[start + 1 :] if (m := re.match(r"( +)[^\s#]", line))), "  ")
    head, found = _blocks(lines[start + 1 :], re.compile(rf"{indent}([^\s#].*?)(?=:(?:\s|$))"), indent)
    named = {name[1:-1] if name[0] in "\"'" and name[-1] == name[0] else name: text for name, text in found.items()}
    return "".join(lines[: start + 1]) + head, named


def _blocks(lines: list[str], begins: re.Pattern[str], indent: str) -> tuple[str, dict[str, str]]:
    """Lines grouped by the names that `begins` finds; comments at `indent` go with what follows them."""
    found: dict[str, str] = {}
    name, block, above, head = "", "", "", ""
    for line in lines:
        if start := begins.match(line):
            if name:
                found[name] = block
            else:
                head = block
            name, block, above = start[1], above + line, ""
        elif line.startswith(f"{indent}#") or not line.strip():
            above += line
        else:
            block, above = block + above + line, ""
    if name:
        found[name] = block + above
    return head, found


def _ended(block: str) -> str:
    return block if not block or block.endswith("\n") else f"{block}\n"
