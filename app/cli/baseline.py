"""What a check compares with: the files at the merge base, what is live on the server, a reference, or a saved file."""

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from app.cli import git
from app.cli.exits import UserError
from app.cli.project import File, folders_of, packed, wanted

SAVED = "promptward_baseline"
BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


class GitBaseline(NamedTuple):
    """The project's files at a commit, and how the report calls it."""

    files: list[File]
    title: str


def merge_base(root: Path, base: str | None) -> GitBaseline | None:
    """The files at the merge base of HEAD and `base` (by default the repository's main branch).

    On the main branch itself with nothing changed it is the commit before the last. None when the folder is not in a git
    repository or has no earlier commit: then there is nothing to compare with. Raises `UserError` when `base` is unknown.
    """
    if git.run(root, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        if base is not None:
            raise UserError(f"--base {base}: {root} is not in a git repository with a commit")
        return None
    branch = base or next((name for name in BRANCHES if _commit(root, name)), None)
    if branch is None:
        return None
    if _commit(root, branch) is None:
        raise UserError(
            f"--base {branch}: git knows no such commit; fetch it first (a shallow clone lacks it: fetch-depth: 0)"
        )
    commit = git.run(root, "merge-base", "HEAD", branch)
    if commit is None:
        raise UserError(f"HEAD and {branch} share no commit; fetch the whole history (fetch-depth: 0), or name --base")
    if commit == _commit(root, "HEAD") and not git.run(root, "status", "--porcelain", "--", "."):
        commit = _commit(root, "HEAD~1")
        if commit is None:
            return None
    return GitBaseline(_files_at(root, commit), f"files at {commit[:12]}")


def saved(path: Path) -> list[File]:
    """The files in what `--save-baseline` wrote."""
    try:
        content = json.loads(path.read_text())
        if content[SAVED] != 1:
            raise UserError(f"{path}: baseline format {content[SAVED]} is newer than this program; update Promptward")
        return [File(**file) for file in content["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a file that `promptward check --save-baseline` wrote") from error


def save(path: Path, files: list[File]) -> None:
    """Everything that a later check needs to evaluate the same content again."""
    body: dict[str, Any] = {SAVED: 1, "files": [file.payload() for file in files]}
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n")


def _commit(root: Path, name: str) -> str | None:
    return git.run(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def _files_at(root: Path, commit: str) -> list[File]:
    archive = subprocess.run(  # noqa: S603
        ["git", "-C", str(root), "archive", "--format=tar", commit, "."],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if archive.returncode != 0:
        raise UserError(f"git archive {commit}: {archive.stderr.decode(errors='replace').strip()}")
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                contents[member.name.removeprefix("./")] = file.read()
    project_file = contents.get("promptward.yaml")
    if project_file is None:
        return []
    folders = folders_of(project_file, f"promptward.yaml at {commit[:12]}")
    return [packed(path, data) for path, data in sorted(contents.items()) if wanted(path, folders)]
