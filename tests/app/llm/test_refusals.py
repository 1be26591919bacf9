"""When refused calls concern the whole endpoint."""

import random

from app.llm.refusals import MEMORY, Refusals


def after(shares: list[tuple[int, float]], seed: int) -> list[bool]:
    """What each refusal was taken for, when calls are refused at random with these shares."""
    refusals, drawn, told = Refusals(), random.Random(seed), []
    for calls, share in shares:
        for _ in range(calls):
            refusals.begun()
            if drawn.random() < share:
                told.append(refusals.refused())
    return told


def test_a_refusal_of_the_only_call_concerns_the_endpoint():
    refusals = Refusals()
    refusals.begun()
    assert refusals.refused()


def test_a_few_refusals_among_many_calls_that_begin_at_once_concern_only_themselves():
    refusals = Refusals()
    for _ in range(64):
        refusals.begun()
    assert not any(refusals.refused() for _ in range(6))


def test_a_steady_five_percent_concern_only_themselves():
    for seed in range(20):
        told = after([(MEMORY, 0.0), (5_000, 0.05)], seed)
        assert len(told) > 100
        assert not any(told)


def test_an_endpoint_that_begins_to_refuse_everything_is_left_alone_after_few_calls():
    told = after([(1_000, 0.0), (100, 1.0)], 0)
    assert told.index(True) < MEMORY / 5
    assert all(told[told.index(True) :])
