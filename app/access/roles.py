"""Which role may do what. A permission is `<noun>:<verb>`; what is not listed is denied."""

PUBLIC = "public"
"""The permission of a route that needs no key: probes and the API reference."""

READ = frozenset({"registry:read", "runs:read", "scorers:read"})
CI = READ | {"registry:draft", "runs:write", "gates:evaluate"}
ENGINEER = CI | {"registry:write", "labels:write"}
ADMIN = ENGINEER | {"keys:manage"}

ROLES: dict[str, frozenset[str]] = {
    "reader": READ,
    "ci": frozenset(CI),
    "engineer": frozenset(ENGINEER),
    "admin": frozenset(ADMIN),
}


def allows(role: str, permission: str) -> bool:
    return permission in ROLES.get(role, frozenset())
