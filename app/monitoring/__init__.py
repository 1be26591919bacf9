"""Evaluations that nobody starts by hand: schedules, sentinels, and what their runs say over time."""
