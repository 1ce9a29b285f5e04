"""Errors, seeds, devices, hardware and threads. Imports nothing else of this package."""
