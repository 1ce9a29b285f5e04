"""Runs of filters on the test split. May import `learning` and below."""
