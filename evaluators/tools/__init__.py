"""Scorers of tool calls and of the steps that led to an answer."""
