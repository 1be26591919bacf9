"""Finding what a scorer compares with in a sample: `reference`, `metadata.relevant`, `inputs.calls`, `tools`."""

from typing import Any

from evaluators.contract import Sample, ScorerConfigError

ROOTS = ("reference", "metadata", "inputs")


def check_path(path: str, argument: str, roots: tuple[str, ...] = ROOTS) -> None:
    """Refuse a path that begins at nothing a sample has. Raises ScorerConfigError with the argument's pointer."""
    root, *keys = path.split(".")
    if root not in roots or not all(keys) or (not keys and root in ("metadata", "inputs")):
        starts = ", ".join(f"{each}.<key>" if each in ("metadata", "inputs") else each for each in roots)
        raise ScorerConfigError(f"{path!r} names no part of a sample; write one of {starts}", f"/args/{argument}")


def need_of(path: str) -> str:
    """The need that the path reads."""
    return path.partition(".")[0]


def value_at(sample: Sample, path: str) -> Any:
    """What lies at the path: keys of objects, positions in lists. None when there is nothing."""
    root, *keys = path.split(".")
    value: Any = getattr(sample, root)
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            return None
    return value
