from app.kit.errors import ConflictError, ForbiddenError


class ReleaseStateError(ConflictError):
    """The release is not in a state in which this can be done, or something happened to it in the meantime."""

    slug, title = "release-state", "The release does not allow this now"


class AlreadyLiveError(ConflictError):
    """Exactly this content is live there."""

    slug, title = "already-live", "Exactly this content is live already"


class OnItsWayError(ReleaseStateError):
    """Exactly this content is on its way there already, as another release."""

    slug, title = "release-on-its-way", "Exactly this content is on its way already"


class SelfApprovalError(ForbiddenError):
    slug, title = "self-approval", "Nobody approves their own work"
