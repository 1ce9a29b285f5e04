"""Scores with intervals, from evaluations alone. May import `evaluation` and below."""
