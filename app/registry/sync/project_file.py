"""`promptward.yaml`: what a project is besides its files."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.registry.environments import PRODUCTION, Environment, faults, shown
from app.registry.kinds.base import Content
from app.registry.names import label_problem, name_problem

PROJECT_FILE = "promptward.yaml"
DECLARED = {"endpoints": "endpoint", "gate_policies": "gate_policy"}
"""The sections that declare artifacts, and of which kind."""


class Folders(Content, frozen=True):
    """Where the files lie, from the folder of `promptward.yaml`."""

    prompts: str = "prompts"
    datasets: str = "datasets"


class Budgets(Content, frozen=True):
    """`confirm_above_usd`: the command line asks before it starts a run that is expected to cost more."""

    confirm_above_usd: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class ProjectFile(Content, frozen=True):
    """The whole file. The last sections are kept for the rooms that they are about."""

    project: str | None = None
    folders: Folders = Folders()
    endpoints: dict[str, Any] = {}
    gate_policies: dict[str, Any] = {}
    environments: dict[str, Environment] = {}
    schedules: dict[str, Any] | None = None
    alerts: dict[str, Any] | list[Any] | None = None
    budgets: Budgets | None = None
    retention: dict[str, Any] | None = None


def problems(project: ProjectFile) -> Iterable[FieldError]:
    for section, folder in (("prompts", project.folders.prompts), ("datasets", project.folders.datasets)):
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts or not folder or "\\" in folder:
            yield FieldError(f"/folders/{section}", f"{folder!r} does not lie inside the project")
    for section in DECLARED:
        for name in getattr(project, section):
            if problem := name_problem(name):
                yield FieldError(f"/{section}/{escape(name)}", problem)
    for name, environment in project.environments.items():
        if problem := label_problem(name):
            yield FieldError(f"/environments/{escape(name)}", problem)
        for fault in faults(name, environment, {*project.environments, PRODUCTION}):
            yield FieldError(f"/environments/{escape(name)}{fault.pointer}", fault.detail)


def plain_environments(project: ProjectFile) -> dict[str, Any]:
    """The environments with every field, as they are answered."""
    return {name: shown(environment) for name, environment in project.environments.items()}
