"""Experiments of single figures and tables, one file each. May import `scores` and below."""
