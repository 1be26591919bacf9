"""What every writer shares: noting what the other tool has no place for."""

from collections.abc import Mapping, Set
from typing import Any

from app.formats.schemas import Loss

_NOTHING_LOST: tuple[Any, ...] = (None, "", [], {}, {"type": "text"})


class Losses:
    """What an export leaves behind; the same sentence about the same artifact comes once."""

    def __init__(self) -> None:
        self.found: list[Loss] = []
        self._known: set[Loss] = set()

    def add(self, where: str, what: str) -> None:
        loss = Loss(where, None, what)
        if loss not in self._known:
            self._known.add(loss)
            self.found.append(loss)

    def fields(self, where: str, content: Mapping[str, Any], kept: Set[str]) -> None:
        """Notes each field of `content` that is not among `kept`."""
        for name, value in content.items():
            if name not in kept and value not in _NOTHING_LOST:
                self.add(where, f"`{name}` is not kept")
