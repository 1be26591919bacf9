"""What differs between two versions of a dataset, item by item."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.datasets.schemas import Entry

Op = Literal["add", "remove", "replace"]


class ItemChange(NamedTuple):
    op: Op
    before: Entry | None
    after: Entry | None

    @property
    def id(self) -> str:
        entry = self.after or self.before
        return "" if entry is None else entry.id


def changed_items(before: Sequence[Entry], after: Sequence[Entry]) -> list[ItemChange]:
    """Items that went, then in the later version's order those that came or changed. A new order alone is no change."""
    old, new = {entry.id: entry for entry in before}, {entry.id: entry for entry in after}
    changes = [ItemChange("remove", entry, None) for key, entry in old.items() if key not in new]
    for key, entry in new.items():
        if key not in old:
            changes.append(ItemChange("add", None, entry))
        elif old[key].digest != entry.digest:
            changes.append(ItemChange("replace", old[key], entry))
    return changes
