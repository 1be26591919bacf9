"""Calibration: how far a rubric's judge can be trusted, measured against what people say of the same answers."""
