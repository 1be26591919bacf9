"""Pure arithmetic of the gate: estimates, paired comparisons, sequential tests, planning, ratios.

The modules of this room load numpy and scipy (0.6 s) when they are first used. `from app import stats` is free, and
`stats.paired.p_worse(...)` loads what it needs; `from app.stats.paired import p_worse` belongs inside a function
wherever the service imports the file at start.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.stats import estimates, paired, planning, ratio, sequential

__all__ = ["estimates", "paired", "planning", "ratio", "sequential"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
