"""Scorers that look at the answer alone: its form, its length, what it took."""
