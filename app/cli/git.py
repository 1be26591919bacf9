"""What git knows about a folder."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cli.exits import UserError

TEXTS = (".md", ".txt", ".prompt")
_MARK = "\x1e"


def run(root: Path, *arguments: str) -> str | None:
    """What git prints; None when it refuses or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit_of(folder: Path) -> str | None:
    """The commit that a folder's files are at, with `-dirty` when some differ from it; None outside of git."""
    commit = run(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if run(folder, "status", "--porcelain", "--", ".") else commit


def history(folder: Path) -> Iterator[dict[str, Any]]:
    """Every version of every text file below a folder, oldest first, as lines of the format `git-log`.

    A file that was renamed has the history of its name now. Raises `UserError` outside of a repository.
    """
    if run(folder, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise UserError(f"{folder} is not in a git repository with a commit")
    listed = run(folder, "ls-files", "-z", "--", ".") or ""
    for name in sorted(name for name in listed.split("\0") if name.endswith(TEXTS)):
        form = f"--format={_MARK}%H%x1f%aI%x1f%an%x1f%s"
        told = run(folder, "log", "--follow", "--name-only", form, "--", name) or ""
        # Turned round here: with --reverse, --follow loses what was before a rename.
        for number, entry in enumerate(reversed([e for e in told.split(_MARK) if e.strip()]), start=1):
            head, *paths = [line for line in entry.splitlines() if line.strip()]
            commit, date, author, subject = head.split("\x1f")
            text = _blob(folder, commit, paths[0]) if paths else None
            if text is not None:
                line = {"path": name, "version": number, "commit": commit, "date": date, "author": author}
                yield {**line, "message": subject, "text": text}


def _blob(folder: Path, commit: str, path: str) -> str | None:
    """A file's text at a commit; None where it was deleted, and for what is no UTF-8."""
    top = run(folder, "rev-parse", "--show-toplevel") or str(folder)
    done = subprocess.run(  # noqa: S603
        ["git", "-C", top, "show", f"{commit}:{path}"],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or not done.stdout.strip():
        return None
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        return None
