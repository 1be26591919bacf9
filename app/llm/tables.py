"""What all processes know of an endpoint's limits. No user data, and so no project: endpoints of one digest are one endpoint
wherever they are used. Moments are seconds since 1970 by the database's clock, the only one that all processes share."""

from sqlalchemy import Float, Integer, String, Text
from sqlmodel import Field

from app.kit.db import Table


class EndpointLimitRow(Table, table=True):
    """Locked by every exchange. `requests_arrival` and `tokens_arrival` are the theoretical arrival times of the two rates."""

    __tablename__ = "endpoint_limit"

    endpoint: str = Field(sa_type=Text, primary_key=True)
    concurrency: float = Field(sa_type=Float(53))
    decreased_at: float = Field(default=0.0, sa_type=Float(53))
    paused_until: float = Field(default=0.0, sa_type=Float(53))
    requests_arrival: float = Field(default=0.0, sa_type=Float(53))
    tokens_arrival: float = Field(default=0.0, sa_type=Float(53))
    synced_at: float = Field(default=0.0, sa_type=Float(53))


class EndpointShareRow(Table, table=True):
    """What one process may have in flight at most, and what it would like to have."""

    __tablename__ = "endpoint_share"

    endpoint: str = Field(sa_type=Text, primary_key=True)
    process: str = Field(sa_type=String(80), primary_key=True)
    granted: int = Field(sa_type=Integer)
    wanted: int = Field(sa_type=Integer)
    seen_at: float = Field(sa_type=Float(53))
