from app.kit.errors import ConflictError, NotFoundError


class RunNotFoundError(NotFoundError):
    """No such run in this project."""


class RunActiveError(ConflictError):
    """The run is at work; what was asked needs one at rest."""
