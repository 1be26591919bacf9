"""What personal data and secrets look like, and which candidates are real; `evaluators.patterns` is the way in."""
