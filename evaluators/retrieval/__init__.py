"""Scorers of what retrieval found, and of how far an answer rests on it."""
