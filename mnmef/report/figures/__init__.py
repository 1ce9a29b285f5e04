"""Figures, one file for each kind, drawn from tables and evaluations."""
