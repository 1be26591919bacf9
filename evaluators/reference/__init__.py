"""Scorers that compare the output with a reference."""
