"""Settings, read once from `PROMPTWARD_*` variables: the only place that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PROJECT_FILE = "promptward.yaml"
HOME_FOLDER = ".promptward"
MASK = "********"


class SettingsError(ValueError):
    """A variable holds something unusable; the message names it and the fix."""


class Setting(NamedTuple):
    """One setting as `promptward settings` shows it."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Settings:
    """Everything the process is told from outside. `environ` serves endpoints that name variables; it is never shown."""

    home: Path
    database_url: str
    host: str = "127.0.0.1"
    port: int = 8000
    admin_key: str | None = field(default=None, repr=False)
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    log_format: str = "text"
    rate_limit: int = 0
    """Requests a minute for each key; 0 is no limit."""
    scan: str = "warn"
    secret_key: str | None = field(default=None, repr=False)
    allow_code: bool = False
    """Whether suites may name scorers that are files of the project; a server never does."""
    project: Path | None = None
    """The folder of the nearest promptward.yaml upward."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> "Settings":
        """From `environ` (the process's own by default); `folder` is where a search for the project file starts."""
        environ = dict(os.environ) if environ is None else dict(environ)
        given = {name: environ[f"PROMPTWARD_{name}"] for name in _NAMES if environ.get(f"PROMPTWARD_{name}")}
        home = Path(given["HOME"]).expanduser() if "HOME" in given else default_home(folder or Path.cwd())
        home = home.absolute()
        log_format = given.get("LOG_FORMAT", "text")
        if log_format not in ("text", "json"):
            raise SettingsError(f"PROMPTWARD_LOG_FORMAT is {log_format!r}; use text or json")
        port = given.get("PORT", "8000")
        if not port.isdigit() or int(port) > 65535:
            raise SettingsError(f"PROMPTWARD_PORT is {port!r}; use a number from 0 to 65535")
        rate_limit = given.get("RATE_LIMIT", "0")
        if not (rate_limit.isascii() and rate_limit.isdigit()) or len(rate_limit) > 9:
            raise SettingsError(f"PROMPTWARD_RATE_LIMIT is {rate_limit!r}; use requests per minute, or 0 for no limit")
        scan = given.get("SCAN", "warn")
        if scan not in ("off", "report", "warn", "refuse"):
            raise SettingsError(f"PROMPTWARD_SCAN is {scan!r}; use off, report, warn or refuse")
        secret_key = given.get("SECRET_KEY")
        if secret_key is not None and len(secret_key) < 32:
            raise SettingsError("PROMPTWARD_SECRET_KEY is too short; use at least 32 random characters")
        allow_code = given.get("ALLOW_CODE", "0")
        if allow_code not in ("0", "1"):
            raise SettingsError(
                f"PROMPTWARD_ALLOW_CODE is {allow_code!r}; use 1 to run the project's own scorers, or 0"
            )
        return cls(
            home=home,
            database_url=given.get("DATABASE_URL", f"sqlite:///{home / 'promptward.db'}"),
            host=given.get("HOST", "127.0.0.1"),
            port=int(port),
            admin_key=given.get("ADMIN_KEY"),
            url=given.get("URL"),
            api_key=given.get("API_KEY"),
            allow_hosts=tuple(part.strip() for part in given.get("ALLOW_HOSTS", "").split(",") if part.strip()),
            log_format=log_format,
            rate_limit=int(rate_limit),
            scan=scan,
            secret_key=secret_key,
            allow_code=allow_code == "1",
            project=project_folder(folder or Path.cwd()),
            environ=environ,
            sources={name: f"PROMPTWARD_{name}" for name in given},
        )

    def shown(self) -> list[Setting]:
        """Every setting with its value and where it came from; secrets are masked."""
        values = {
            "HOME": str(self.home),
            "DATABASE_URL": _without_password(self.database_url),
            "HOST": self.host,
            "PORT": str(self.port),
            "ADMIN_KEY": MASK if self.admin_key else "",
            "URL": self.url or "",
            "API_KEY": MASK if self.api_key else "",
            "ALLOW_HOSTS": ",".join(self.allow_hosts),
            "LOG_FORMAT": self.log_format,
            "RATE_LIMIT": str(self.rate_limit),
            "SCAN": self.scan,
            "SECRET_KEY": MASK if self.secret_key else "",
            "ALLOW_CODE": "1" if self.allow_code else "0",
        }
        return [
            Setting(f"PROMPTWARD_{name}", value, "environment" if name in self.sources else "default")
            for name, value in values.items()
        ]


_NAMES = (
    "HOME",
    "DATABASE_URL",
    "HOST",
    "PORT",
    "ADMIN_KEY",
    "URL",
    "API_KEY",
    "ALLOW_HOSTS",
    "LOG_FORMAT",
    "RATE_LIMIT",
    "SCAN",
    "SECRET_KEY",
    "ALLOW_CODE",
)


def default_home(folder: Path) -> Path:
    """`.promptward/` beside the nearest promptward.yaml upward, else in `folder`."""
    return (project_folder(folder) or folder) / HOME_FOLDER


def project_folder(folder: Path) -> Path | None:
    """The folder of the nearest promptward.yaml from `folder` upward."""
    return next((each for each in (folder, *folder.parents) if (each / PROJECT_FILE).is_file()), None)


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    if not at or ":" not in head.partition("://")[2]:
        return url
    return f"{head.rpartition(':')[0]}:{MASK}@{tail}"
