from app.kit.db import Sessions


def attach(sessions: Sessions) -> None:
    """From now on every change that is recorded in these sessions is chained before its transaction ends."""
