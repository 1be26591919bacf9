"""Judging a rollout by what people, errors and latencies say. Pure: tallies in, a verdict out."""

from app.gates.rollout.judge import judge_rollout

__all__ = ["judge_rollout"]
