"""Judging a rollout by what people, errors and latencies say. Pure: tallies in, a verdict out. `judge` loads numpy."""
