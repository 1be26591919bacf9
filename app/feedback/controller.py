"""Feedback over HTTP."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.datasets.sensitivity import above, mask_of
from app.feedback.filters import Filters
from app.feedback.schemas import (
    Erased,
    InferenceCreate,
    InferenceCreated,
    InferenceRead,
    RatingCreate,
    RatingRead,
    RatingsRead,
    Summary,
)
from app.feedback.service import Feedback
from app.feedback.summary import By, summary
from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.registry.kinds.dataset import Level

MAX_RATINGS = 1_000
SERVED: Level = "internal"
"""What real people asked, were answered and said of it: nobody declared it public."""
BYS: tuple[str, ...] = By.__args__  # type: ignore[attr-defined]


class FeedbackController(Controller):
    path = "/api/v1"
    tags = ("Feedback",)

    @post("/feedback", operation_id="rate", opt={"permission": "feedback:write"})
    async def rate(
        self, state: State, caller: NamedDependency[Caller], data: JSONBody[RatingCreate | list[RatingCreate]]
    ) -> Response[RatingRead | RatingsRead]:
        """Rate an answer, or up to 1,000 of them: all are kept, or none. One vote per answer, signal and rater: the last
        counts, the earlier ones stay as history."""
        feedback = _feedback(state)
        if isinstance(data, RatingCreate):
            return Response((await feedback.rate(caller, [data], single=True))[0], status_code=201)
        if not 1 <= len(data) <= MAX_RATINGS:
            raise BadRequestError.at("", f"send 1 to {MAX_RATINGS:,} ratings at a time, not {len(data):,}")
        return Response(RatingsRead(await feedback.rate(caller, data)), status_code=201)

    @get("/feedback", operation_id="list_feedback", opt={"permission": "feedback:read"})
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        state: State,
        caller: NamedDependency[Caller],
        prompt: FromQuery[str | None] = None,
        version: FromQuery[int | None] = None,
        release: FromQuery[str | None] = None,
        environment: FromQuery[str | None] = None,
        signal: FromQuery[str | None] = None,
        inference_id: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        history: FromQuery[bool] = False,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[RatingRead]:
        """Ratings, newest first; with `history` also those that their raters replaced. `prompt` is a name or `name@7`. A key of
        public clearance sees no comment and no correction."""
        filters = Filters(
            prompt=prompt,
            version=version,
            release=release,
            environment=environment,
            signal=signal,
            inference_id=inference_id,
            tag=tag,
            since=since,
            until=until,
            history=history,
        )
        found = await _feedback(state).page(session, caller.project_id, filters, checked_limit(limit), cursor)
        return Page([_said(rating, caller) for rating in found.items], found.next_cursor)

    @get("/feedback/summary", operation_id="feedback_summary", opt={"permission": "feedback:read"})
    async def summary(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        prompt: FromQuery[str | None] = None,
        by: FromQuery[str] = "version",
        signal: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
        since: FromQuery[datetime | None] = None,
    ) -> Summary:
        """Means and rates with two-sided 95 % intervals; `prompt` is a name or `name@7`. They describe who answered; only a rollout's own split compares."""
        if by not in BYS:
            raise BadRequestError.at("/by", f"group by {', '.join(BYS)}, not by {by!r}")
        filters = Filters(prompt=prompt, signal=signal, tag=tag, since=since)
        return await summary(session, caller.project_id, filters, by)  # type: ignore[arg-type]

    @delete(
        "/feedback/raters/{rater:str}",
        operation_id="erase_rater",
        status_code=200,
        opt={"permission": "feedback:erase"},
    )
    async def erase(self, state: State, caller: NamedDependency[Caller], rater: FromPath[str]) -> Erased:
        """Erase one person's ratings and the texts of the answers that were for them."""
        return await _feedback(state).erase(caller, decoded_name(rater))

    @post("/inferences", operation_id="log_inference", opt={"permission": "inferences:write"})
    async def log(
        self,
        session: NamedDependency[AsyncSession],
        state: State,
        caller: NamedDependency[Caller],
        data: JSONBody[InferenceCreate],
    ) -> InferenceCreated:
        """Log an answer that was served elsewhere, so that it can be rated."""
        return await _feedback(state).log_elsewhere(session, caller, data)

    @get("/inferences/{inference_id:str}", operation_id="get_inference", opt={"permission": "feedback:read"})
    async def inference(
        self,
        session: NamedDependency[AsyncSession],
        state: State,
        caller: NamedDependency[Caller],
        inference_id: FromPath[str],
    ) -> InferenceRead:
        """One answer as it was served. A key of public clearance sees neither what was asked nor what was answered."""
        read = await _feedback(state).inference(session, caller.project_id, decoded_name(inference_id))
        return _served(read, caller)


def _served(read: InferenceRead, caller: Caller) -> InferenceRead:
    if not above(SERVED, caller.clearance):
        return read
    mask = mask_of(SERVED)
    return msgspec.structs.replace(
        read,
        variables=None if read.variables is None else dict.fromkeys(read.variables, mask),
        messages=None,
        output=None if read.output is None else mask,
        error=None if read.error is None else mask,
    )


def _said(read: RatingRead, caller: Caller) -> RatingRead:
    if not above(SERVED, caller.clearance):
        return read
    mask = mask_of(SERVED)
    return msgspec.structs.replace(
        read,
        comment=None if read.comment is None else mask,
        correction=None if read.correction is None else mask,
    )


def _feedback(state: State) -> Feedback:
    feedback: Feedback = state.feedback
    return feedback


router = Router("/", route_handlers=[FeedbackController])
