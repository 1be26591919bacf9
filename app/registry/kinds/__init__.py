"""The kinds of artifacts, found by walking this folder: one file, one `KIND`."""

import importlib
import pkgutil
from functools import cache

from app.kit.errors import NotFoundError
from app.registry.kinds.base import Kind


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its name (`prompt`, `rag_config`, …)."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base":
            kind: Kind = importlib.import_module(f"{__name__}.{module.name}").KIND
            found[kind.name] = kind
    return found


def by_plural(plural: str) -> Kind:
    """The kind behind a path segment such as `rag-configs`; a 404 that lists them otherwise."""
    for kind in kinds().values():
        if kind.plural == plural:
            return kind
    raise NotFoundError(
        f"there is no kind {plural!r}; kinds are {', '.join(sorted(k.plural for k in kinds().values()))}"
    )
