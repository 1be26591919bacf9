"""A team's own scorers: `./scorers/tone.py:score`, files of a project that run in a process of their own where code is allowed."""
