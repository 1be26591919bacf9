"""Deny by default: every route declares the permission it needs, and a route that declares none stops the start."""

from typing import Any

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.access.authenticator import Authenticator
from app.access.roles import PUBLIC, allows
from app.access.schemas import Caller
from app.kit.errors import ForbiddenError


async def require_permission(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application."""
    permission = handler.opt.get("permission")
    if permission == PUBLIC:
        return
    caller: Caller | None = connection.scope["state"].get("caller")
    if caller is None:
        authenticator: Authenticator = connection.app.state.authenticator
        caller = await authenticator.caller(connection.headers.get("authorization"))
    if not isinstance(permission, str) or not allows(caller.role, permission):
        raise ForbiddenError(
            f"role {caller.role!r} lacks the permission {permission!r}; use a key of a role that has it"
        )
    connection.scope["state"]["caller"] = caller


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Who is asking, on a route that needs a permission."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    return caller_of(request)


def check_permissions(app: Litestar) -> None:
    """Raises `RuntimeError` naming every route without a permission."""
    missing = []
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            handlers: list[HTTPRouteHandler] = list(route.route_handlers)
            missing += [
                f"{sorted(h.http_methods)} {route.path}"
                for h in handlers
                if "permission" not in h.opt and h.http_methods != {"OPTIONS"}
            ]
    if missing:
        raise RuntimeError(f"routes without a declared permission: {', '.join(missing)}")
