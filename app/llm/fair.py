"""Whose turn it is: waiting calls in a fair order."""

from collections import OrderedDict
from collections.abc import Hashable
from contextvars import ContextVar
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)

PRODUCTION, HIGH, NORMAL, LOW = 3, 2, 1, 0


class Share(NamedTuple):
    """On whose behalf a call is made. A higher `priority` goes first; within one, projects take turns, and so do a project's
    runs."""

    priority: int
    project: str
    run: str


CALLER: ContextVar[Share] = ContextVar("CALLER", default=Share(PRODUCTION, "", ""))  # noqa: B039 - a tuple
"""Of the calls that this task makes. Who sets nothing is production traffic, which evaluations never hold up."""


class FairQueue(Generic[T]):
    """Hashable things that wait, each with a `Share`. Every operation takes the same time however many wait."""

    def __init__(self) -> None:
        self._priorities: dict[int, OrderedDict[str, OrderedDict[str, OrderedDict[T, None]]]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, share: Share, item: T) -> None:
        """Behind what its run has waiting already."""
        projects = self._priorities.setdefault(share.priority, OrderedDict())
        projects.setdefault(share.project, OrderedDict()).setdefault(share.run, OrderedDict())[item] = None
        self._size += 1

    def peek(self) -> T:
        """What `pop` would return. Raises `IndexError` when nothing waits."""
        return next(iter(self._head()[1]))

    def pop(self) -> T:
        """The next one; its run and its project go to the end of their rows. Raises `IndexError` when nothing waits."""
        share, run = self._head()
        item, _ = run.popitem(last=False)
        self._size -= 1
        projects = self._priorities[share.priority]
        projects[share.project].move_to_end(share.run)
        projects.move_to_end(share.project)
        self._tidy(share)
        return item

    def discard(self, share: Share, item: T) -> bool:
        """Takes `item` out and returns whether it waited."""
        try:
            del self._priorities[share.priority][share.project][share.run][item]
        except KeyError:
            return False
        self._size -= 1
        self._tidy(share)
        return True

    def _head(self) -> tuple[Share, OrderedDict[T, None]]:
        if not self._priorities:
            raise IndexError("nothing waits")
        priority = max(self._priorities)
        project, runs = next(iter(self._priorities[priority].items()))
        name, run = next(iter(runs.items()))
        return Share(priority, project, name), run

    def _tidy(self, share: Share) -> None:
        """Forgets what is empty now."""
        projects = self._priorities[share.priority]
        runs = projects[share.project]
        if not runs[share.run]:
            del runs[share.run]
        if not runs:
            del projects[share.project]
        if not projects:
            del self._priorities[share.priority]
