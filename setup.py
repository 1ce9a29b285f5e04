"""Packages of the wheel: those that are found, and one whose folder is the checkout, which pyproject.toml cannot say."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["mnmef*"]), "mnmef.shipped"])
