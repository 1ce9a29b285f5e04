"""Figures, drawn with matplotlib without global state; needs no torch."""
