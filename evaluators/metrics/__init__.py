"""Run-level measures: arithmetic on scores."""
