"""Runs: a suite evaluated for candidates, as a grid of cells (variant x case x repeat) that is never paid for twice."""
