"""Packages of the wheel: those that are found, and one whose folder is the checkout; pyproject.toml cannot say so."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["mnmef*"]), "mnmef.shipped"])
