from app.kit.errors import ConflictError, NotFoundError


class ScheduleNotFoundError(NotFoundError):
    """There is no schedule of this name."""


class ScheduleExistsError(ConflictError):
    """The name is taken; a schedule is changed by PATCH."""
