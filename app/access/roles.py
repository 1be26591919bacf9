"""Which role may do what. A permission is `<noun>:<verb>`; what is not listed is denied."""

PUBLIC = "public"
"""The permission of a route that needs no key: probes and the API reference."""

READ = frozenset(
    {
        "registry:read",
        "runs:read",
        "scorers:read",
        "environments:read",
        "schedules:read",
        "releases:read",
        "serving:read",
        "feedback:read",
        "audit:read",
        "metrics:read",
    }
)
CI = READ | {"registry:draft", "runs:write", "gates:evaluate"}
SERVER = frozenset({"serving:read", "serving:call", "inferences:write", "feedback:write", "feedback:by_id"})
PROPOSER = CI | {"registry:write", "releases:propose"}
ENGINEER = (
    PROPOSER | SERVER | {"registry:manage", "labels:write", "releases:operate", "schedules:write", "workers:read"}
)
APPROVER = READ | {"releases:approve", "releases:operate"}
ADMIN = ENGINEER | APPROVER | {"keys:manage", "projects:manage", "environments:write", "feedback:erase", "data:erase"}

ROLES: dict[str, frozenset[str]] = {
    "reader": READ,
    "feedback": frozenset({"feedback:write"}),
    "server": SERVER,
    "ci": CI,
    "proposer": PROPOSER,
    "engineer": ENGINEER,
    "approver": APPROVER,
    "admin": ADMIN,
}
"""`feedback` may be given to browsers: it rates by receipt and nothing else. `server` is a product's backend: it fetches and
calls what is live, logs answers and rates them by id. `proposer` makes versions and releases; only `engineer`, `approver` and
`admin` move a rollout, only `approver` and `admin` approve."""


CLEARANCES = ("public", "internal", "confidential", "personal")
"""What a key may see of the data in items and answers, from the least to the most."""

_CLEARANCE_OF = {"feedback": "public", "engineer": "confidential", "approver": "confidential", "admin": "personal"}


def clearance_of(role: str) -> str:
    """The clearance of a role's keys that were given none of their own."""
    return _CLEARANCE_OF.get(role, "internal")


def allows(role: str, permission: str) -> bool:
    return permission in ROLES.get(role, frozenset())
