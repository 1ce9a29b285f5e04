"""Folder of what comes with the package beside its code: config.yaml and resources/weights."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
SHIPPED = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent
"""The folder that holds them: one in the package where it is installed, else the checkout."""
