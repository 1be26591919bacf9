"""Whole projects in and out: folders of files, and what other tools left or take."""
