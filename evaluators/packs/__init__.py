"""Ready-made suites: a dataset, its card, and a suite file each, to be copied into a project's folder of datasets."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The packs that there are, sorted."""
    return sorted(each.name for each in _FOLDER.iterdir() if each.is_dir() and not each.name.startswith(("_", ".")))


def files(name: str) -> dict[str, bytes]:
    """The files of a pack by their names, sorted. Raises KeyError for an unknown pack."""
    if name not in names():
        raise KeyError(name)
    return {each.name: each.read_bytes() for each in sorted((_FOLDER / name).iterdir()) if each.is_file()}
