"""What is between an assertion of promptfoo and a scorer."""

from typing import Any, Literal, NamedTuple

from app.formats.nodes import Node

PROFILE = {"profile": "promptfoo"}


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
