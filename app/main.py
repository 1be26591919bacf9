"""The only place that knows every room: wires the application, and runs it as a service or embedded."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.response import Redirect

from app import openapi
from app.access import controller as access
from app.access import projects_controller as projects
from app.access.authenticator import Authenticator
from app.access.guard import check_permissions, provide_caller, require_permission
from app.access.idempotency import MAX_REQUEST, Idempotency
from app.access.rates import UNMETERED, RateLimit, Rates
from app.access.roles import PUBLIC
from app.access.service import ensure_admin_key
from app.audit import controller as audit
from app.audit.chain import Head, check_export
from app.audit.checkpoints import Sealer
from app.audit.schemas import Verified
from app.audit.service import attach as attach_audit
from app.calibration import controller as calibration
from app.calibration.queues import Queues
from app.calibration.service import Calibrations
from app.datasets import controller as datasets
from app.datasets.retention import Retention
from app.datasets.schemas import Item
from app.datasets.service import Datasets
from app.devmodel import running_devmodel
from app.devmodel import serve as serve_devmodel
from app.feedback import controller as feedback
from app.feedback import items as feedback_items
from app.feedback.service import Feedback
from app.gates import controller as gates
from app.gateway import controller as gateway
from app.gateway.live import LivePrompts
from app.gateway.service import Gateway
from app.generation import controller as generation
from app.generation.service import Generation
from app.kit import home, problems
from app.kit.asgi import KeepEncodedSlash
from app.kit.clock import Clock, utc_now
from app.kit.compression import Compression
from app.kit.db import Sessions, make_engine, make_sessions, provide_session
from app.kit.errors import DomainError, UnavailableError
from app.kit.logs import configure as configure_logs
from app.kit.sockets import listening_socket
from app.kit.strictness import note_known_queries, refuse_repeated_keys, require_known_query
from app.llm.official import official_client
from app.llm.service import LLM
from app.llm.shared import SharedLimits
from app.migrations import runner
from app.monitoring import controller as monitoring
from app.monitoring.schedules import Schedules
from app.registry import controller as registry
from app.registry import environments_controller as environments
from app.registry import scorers
from app.registry.fetching import Versions
from app.releases import controller as releases
from app.releases.lifecycle import controller as catalogue
from app.releases.live import live_candidates
from app.releases.service import Releases
from app.retrieval.schemas import CountErased, LoadItems
from app.retrieval.service import Retrieval
from app.runs import controller as runs
from app.runs import load_controller
from app.runs.load import Watch
from app.runs.processes import Processes
from app.runs.queue import InProcessQueue, Queue
from app.runs.service import Runs
from app.runs.shared_queue import SharedQueue, install
from app.settings import Settings
from app.transfer import controller as transfer
from evaluators.own.loading import OwnScorers
from evaluators.tokens import set_counter

__all__ = [
    "DomainError",
    "check_audit_export",
    "check_database",
    "create_app",
    "embedded",
    "example_project",
    "official_client",
    "running_devmodel",
    "running_service",
    "serve",
    "serve_devmodel",
    "upgrade_database",
]

SERVED = (
    "a server runs no files of a project; run the suite by the command line alone (without PROMPTWARD_URL and without a "
    "service on this home) with --allow-code, or install the scorer as a package with the entry point promptward.scorers"
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Part(NamedTuple):
    """What a process is among those of a database, and whether it performs runs and schedules."""

    kind: Literal["service", "worker"]
    works: bool
    keeps_time: bool = True


SERVICE = Part("service", works=True)


@get("/health/live", opt={"permission": PUBLIC, UNMETERED: True}, operation_id="live", tags=["Health"])
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/health/ready", opt={"permission": PUBLIC, UNMETERED: True}, operation_id="ready", tags=["Health"])
async def ready(state: State) -> dict[str, str]:
    """The database answers and is at this program's revision."""
    await runner.check(state.engine)
    return {"status": "ok"}


@get("/", opt={"permission": PUBLIC}, include_in_schema=False)
async def index() -> Redirect:
    return Redirect(openapi.DOCS)


def create_app(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    local_token: str | None = None,
    on_first_key: Callable[[str], None] | None = None,
    own: OwnScorers | None = None,
    part: Part = SERVICE,
) -> KeepEncodedSlash:
    """The ASGI application. Nothing is opened before its lifespan starts.

    `local_token` admits the owner of the home (the command line); a fresh one is made when none is given. With `on_first_key`
    an admin key is made when there is none, and handed over this once. Without `own` no file is run as a scorer.
    """
    state = new_state(settings, clock=clock, local_token=local_token, on_first_key=on_first_key, own=own, part=part)
    app = Litestar(
        route_handlers=[live, ready, index, *ROUTERS, openapi.static_files()],
        dependencies={"session": Provide(provide_session), "caller": Provide(provide_caller)},
        guards=[require_permission, require_known_query],
        before_request=refuse_repeated_keys,
        middleware=[Compression(), RateLimit(), Idempotency()],
        exception_handlers=problems.exception_handlers,
        openapi_config=openapi.config(),
        lifespan=[_lifespan],
        state=state,
        request_max_body_size=MAX_REQUEST,
        logging_config=None,
        debug=False,
    )
    check_permissions(app)
    note_known_queries(app, PUBLIC)
    openapi.use_examples(app)
    return KeepEncodedSlash(app)


def new_state(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    local_token: str | None = None,
    on_first_key: Callable[[str], None] | None = None,
    own: OwnScorers | None = None,
    part: Part = SERVICE,
) -> State:
    """What one application holds before its lifespan adds the rooms' services."""
    engine = make_engine(settings.database_url)
    sessions = make_sessions(engine)
    attach_audit(sessions, clock)
    state = State(
        {
            "settings": settings,
            "engine": engine,
            "sessions": sessions,
            "clock": clock,
            "local_token": local_token or home.new_token(),
            "on_first_key": on_first_key,
            "own": own or OwnScorers(None, SERVED),
            "part": part,
        }
    )
    state.rates = Rates(settings.rate_limit, clock) if settings.rate_limit else None
    state.versions = Versions(sessions)
    state.authenticator = Authenticator(sessions, state.local_token, clock)
    return state


ROUTERS = (
    access.router,
    projects.router,
    registry.router,
    scorers.router,
    datasets.router,
    transfer.router,
    generation.router,
    runs.router,
    load_controller.router,
    gates.router,
    calibration.router,
    monitoring.router,
    audit.router,
    environments.router,
    feedback.router,
    feedback_items.router,
    releases.router,
    catalogue.router,
    gateway.router,
)


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    state = app.state
    settings: Settings = state.settings
    async with AsyncExitStack() as stack:
        stack.push_async_callback(state.engine.dispose)
        stack.push_async_callback(state.versions.close)
        if settings.database_url.startswith("sqlite"):
            _sqlite_folder(settings.database_url)
            await runner.upgrade(state.engine)
        else:
            await runner.check(state.engine)
        await _open_runs(state, stack)
        secret = home.secret(settings.home, settings.secret_key)
        state.audit_sealer = Sealer(secret)
        state.feedback = Feedback(state.sessions, state.clock, secret)
        stack.push_async_callback(state.feedback.close)
        state.label_queues = Queues(state.sessions, state.runs, state.clock)
        state.calibrations = Calibrations(state.sessions, state.llm, state.feedback, state.label_queues, state.clock)
        state.releases = Releases(state.sessions, state.runs, state.feedback, state.clock)
        await state.releases.start()
        stack.push_async_callback(state.releases.close)
        state.schedules = Schedules(state.sessions, state.runs, live_candidates, state.clock)
        if state.part.keeps_time:
            state.schedules.start()
            stack.push_async_callback(state.schedules.close)
        state.retention = Retention(state.sessions, state.clock)
        state.retention.start()
        stack.push_async_callback(state.retention.close)
        state.gateway = Gateway(state.releases, state.generation, state.feedback, state.clock)
        state.live_prompts = LivePrompts()
        if settings.admin_key is not None or state.on_first_key is not None:
            made = await ensure_admin_key(state.sessions, settings.admin_key, state.clock)
            if made is not None:
                state.on_first_key(made)
        yield


async def _open_runs(state: State, stack: AsyncExitStack) -> None:
    """All that performs runs: what a service and a worker have in common."""
    settings: Settings = state.settings
    shared = not settings.database_url.startswith("sqlite")
    processes = Processes(state.sessions, state.part.kind, state.clock) if shared else None
    state.llm = LLM(
        settings.environ,
        settings.allow_hosts,
        allow_loopback=settings.host in LOOPBACK,
        limits=None if processes is None else SharedLimits(state.sessions, processes.id),
    )
    stack.push_async_callback(state.llm.close)
    state.retrieval = Retrieval(_corpus_loader(state.sessions), _erased_counter(state.sessions))
    stack.push_async_callback(state.retrieval.close)
    state.generation = Generation(state.llm, state.retrieval)
    set_counter(state.llm.tokens.count)
    eager = state.part.kind == "worker"
    queue: Queue = SharedQueue(settings.database_url, eager=eager) if shared else InProcessQueue()
    state.runs = Runs(
        state.sessions, state.llm, state.generation, state.clock, state.own, queue, processes, works=state.part.works
    )
    state.watch = Watch(state.sessions, queue, processes, state.llm, state.clock)
    state.processes = processes
    stack.push_async_callback(state.runs.close)
    await state.runs.start()


def _corpus_loader(sessions: Sessions) -> LoadItems:
    async def load(project_id: str, digest: str) -> list[Item]:
        async with sessions() as session:
            return await Datasets(session, project_id).items_by_digest(digest)

    return load


def _erased_counter(sessions: Sessions) -> CountErased:
    async def count(project_id: str, digest: str) -> int:
        async with sessions() as session:
            return await Datasets(session, project_id).erased(digest)

    return count


def _sqlite_folder(url: str) -> None:
    path = url.partition("///")[2]
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _sqlite_file(settings: Settings) -> Path | None:
    path = settings.database_url.partition("///")[2] if settings.database_url.startswith("sqlite") else ""
    return Path(path).absolute() if path and path != ":memory:" else None


class Embedded(NamedTuple):
    """A started application in this process, and the token that opens it."""

    app: KeepEncodedSlash
    token: str


def _own_scorers(settings: Settings) -> OwnScorers:
    """Those of the project that the command stands in, when its owner allows that they are run."""
    if not settings.allow_code:
        return OwnScorers(
            None, "a file is run only when that is allowed: give --allow-code, or PROMPTWARD_ALLOW_CODE=1"
        )
    if settings.project is None:
        return OwnScorers(None, "a file is run only in a project, and there is no promptward.yaml here or above")
    return OwnScorers(settings.project)


_idle: list[KeepEncodedSlash] = []


@asynccontextmanager
async def started(settings: Settings, **options: Any) -> AsyncIterator[KeepEncodedSlash]:
    """The application with its lifespan running in this loop; `options` are those of `create_app`.

    The routes are the same each time and take half a second to make: an application whose lifespan is over is taken up by the
    next one in this process, with a state of its own.
    """
    if _idle:
        app = _idle.pop()
        app.litestar.state.update(new_state(settings, **options).dict())
    else:
        app = create_app(settings, **options)
    try:
        async with app.litestar.lifespan():
            yield app
    finally:
        for name in list(app.litestar.state.dict()):
            del app.litestar.state[name]
    _idle.append(app)


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Embedded]:
    """The service inside this process, for commands that find none running. Holds the home as long as it lives."""
    with home.locked(settings.home, _sqlite_file(settings)):
        # A command ends with its own work: what is due waits for a service that stays.
        async with started(settings, own=_own_scorers(settings), part=SERVICE._replace(keeps_time=False)) as app:
            yield Embedded(app, app.litestar.state.local_token)


async def serve(
    settings: Settings,
    on_start: Callable[[str], None],
    on_first_key: Callable[[str], None],
    *,
    works: bool = True,
) -> None:
    """Runs the service until SIGTERM or SIGINT, then lets requests in flight end (30 s at most).

    Without `works` it leaves runs to workers, which takes PostgreSQL. `on_start` gets the URL once it answers. Raises `ConflictError` when the home is taken, `OSError` when the port is.
    """
    import uvicorn

    configure_logs(settings.log_format)
    with home.locked(settings.home, _sqlite_file(settings)), listening_socket(settings.host, settings.port) as listener:
        app = create_app(settings, on_first_key=on_first_key, part=Part("service", works))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=30, server_header=False
        )
        server = uvicorn.Server(config)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
        url = f"http://{shown}:{port}"

        async def announce() -> None:
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
                await asyncio.sleep(0.01)
            _collect_seldom()
            home.publish(settings.home, home.Address(url, app.litestar.state.local_token, os.getpid()))
            on_start(url)

        announcing = asyncio.create_task(announce())
        try:
            await server.serve(sockets=[listener])
        finally:
            announcing.cancel()
            (settings.home / home.ADDRESS_FILE).unlink(missing_ok=True)
        if not server.started:
            raise UnavailableError("the service could not start; the reason was logged above")


def _collect_seldom() -> None:
    """What lives as long as the process is not looked through again and again, which takes 0.1 s each time; and what comes
    later seldom: a run of many cells holds 10^5 things without cycles."""
    gc.collect()
    gc.set_threshold(50_000, 20, 50)
    gc.freeze()


async def work(settings: Settings, on_start: Callable[[str], None], stopped: asyncio.Event) -> None:
    """Performs runs of a PostgreSQL database until `stopped` is set, then lets calls in flight end.

    `on_start` gets the process's id. Raises `UnavailableError` when the database cannot be used, or by a newer release only.
    """
    configure_logs(settings.log_format)
    state = new_state(settings, part=Part("worker", works=True))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(state.engine.dispose)
        await runner.check(state.engine)
        await _open_runs(state, stack)
        _collect_seldom()
        on_start(state.processes.id)
        await stopped.wait()


async def works_here(settings: Settings) -> bool:
    """Whether a worker on this machine has given a sign within the last seconds."""
    engine = make_engine(settings.database_url)
    try:
        processes = await Processes(make_sessions(engine), "worker", utc_now).all()
    finally:
        await engine.dispose()
    host = socket.gethostname()[:200]
    return any(process.alive and process.kind == "worker" and process.host == host for process in processes)


async def upgrade_database(settings: Settings) -> bool:
    """Brings the database to this program's schema; returns whether anything was done.

    Raises `ConflictError` when another process uses the home's SQLite file.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url.startswith("sqlite"):
            stack.enter_context(home.locked(settings.home, _sqlite_file(settings)))
            _sqlite_folder(settings.database_url)
        engine = make_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        changed = await runner.upgrade(engine)
        if not settings.database_url.startswith("sqlite"):
            await install(settings.database_url)
        return changed


async def check_database(settings: Settings) -> None:
    """Raises `UnavailableError` unless the database has exactly this program's schema. Makes nothing."""
    path = settings.database_url.partition("///")[2] if settings.database_url.startswith("sqlite") else ""
    if path and not Path(path).exists():  # noqa: ASYNC240 - one look at a local disk
        raise UnavailableError(f"there is no database at {path} yet; run `promptward db upgrade`")
    engine = make_engine(settings.database_url)
    try:
        await runner.check(engine)
    finally:
        await engine.dispose()


def check_audit_export(lines: Iterable[bytes], heads: Sequence[str] = (), settings: Settings | None = None) -> Verified:
    """Whether an exported audit is whole. Opens no database.

    `heads` are `<no>:<hash>` of earlier checkpoints. With `settings`, the last line must have been sealed with this home's
    signing key. Raises `ValueError` for a head that is not one, and when this home has no key.
    """
    sealer = None
    if settings is not None:
        secret = home.kept_secret(settings.home, settings.secret_key)
        if secret is None:
            raise ValueError(f"{settings.home} has no signing key; set PROMPTWARD_HOME or PROMPTWARD_SECRET_KEY")
        sealer = Sealer(secret)
    return check_export(lines, [Head.parse(head) for head in heads], sealer)


def running_service(settings: Settings) -> home.Address | None:
    """Where the service of this home answers, when one runs."""
    return home.running_service(settings.home)


def example_project() -> Path:
    """The folder with the example project: inside an installed wheel, else the repository itself."""
    bundled = Path(__file__).parent / "example"
    return bundled if bundled.is_dir() else Path(__file__).parent.parent
