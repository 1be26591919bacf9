from litestar import Response, Router, get
from litestar.datastructures import State

from app.runs.load import Watch, Workers, exposition


@get("/api/v1/workers", operation_id="list_workers", opt={"permission": "workers:read"}, tags=["Workers"])
async def workers(state: State) -> Workers:
    """The processes that share this database, and the work that waits."""
    watch: Watch = state.watch
    return await watch.workers()


@get("/metrics", operation_id="metrics", opt={"permission": "metrics:read"}, tags=["Health"], media_type="text/plain")
async def metrics(state: State) -> Response[bytes]:
    """What to scale workers by, in Prometheus's text format: numbers alone."""
    watch: Watch = state.watch
    return Response(exposition(await watch.workers()), media_type="text/plain; version=0.0.4; charset=utf-8")


router = Router("/", route_handlers=[workers, metrics])
