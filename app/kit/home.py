"""The home folder: one running process per home, found by its address file.

The lock is the operating system's (`flock`), so that it ends with the process however that ends.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.kit.errors import ConflictError

ADDRESS_FILE = "service.json"
LOCK_FILE = "lock"
SIGNING_FILE = "signing.key"


class Address(msgspec.Struct, frozen=True):
    """Where a running service of this home answers, and the token of this start."""

    url: str
    token: str
    pid: int


def new_token() -> str:
    return secrets.token_urlsafe(32)


def secret(home: Path, given: str | None) -> bytes:
    """The key that receipts are signed and raters are hashed with: `given`, else the home's own, made once (mode 0600)."""
    if given is not None:
        return given.encode()
    path = home / SIGNING_FILE
    home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = home / f"{SIGNING_FILE}.{os.getpid()}"
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(48).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first, and its key is whole
            os.link(made, path)
        made.unlink()
    return path.read_bytes()


def kept_secret(home: Path, given: str | None) -> bytes | None:
    """The same key without making one; None when there is none yet."""
    if given is not None:
        return given.encode()
    try:
        return (home / SIGNING_FILE).read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def locked(home: Path, database: Path | None = None) -> Iterator[None]:
    """Holds the home, and a database file that lies elsewhere; `ConflictError` when another process has one of them."""
    with _held(home / LOCK_FILE, f"is using {home}; stop it, or set PROMPTWARD_HOME to another folder"):
        if database is None or database.parent == home:
            yield
            return
        told = f"is using {database}; stop it, or set PROMPTWARD_DATABASE_URL to another file or to PostgreSQL"
        with _held(database.with_name(f"{database.name}.lock"), told):
            yield


@contextmanager
def _held(path: Path, told: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"another Promptward process {told}") from error
        yield
    finally:
        os.close(handle)


def publish(home: Path, address: Address) -> Path:
    """Leaves the address for the command line (mode 0600, replaced atomically)."""
    path = home / ADDRESS_FILE
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(address))
    temporary.replace(path)
    return path


def running_service(home: Path) -> Address | None:
    """The service that holds this home now; None when there is none (a file left by a killed one counts as none)."""
    try:
        address = msgspec.json.decode((home / ADDRESS_FILE).read_bytes(), type=Address)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        with locked(home):
            return None
    except ConflictError:
        return address
