"""`python -m mnmef.config.given ARGUMENTS`: a look at the YAML among arguments of Snakemake, for `make`.

Snakemake reads it before this project does, and its error names neither file nor line.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from mnmef.io.strict_yaml import read_yaml


def faults_of_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Name what is wrong with the files after `--configfile` and the values after `--config`."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[], type=Path)
    parser.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    given, _ = parser.parse_known_args(arguments)
    for file in given.configfile:
        try:
            read_yaml(file)
        except ValueError as error:
            yield f"--configfile: {error}"
    for text in given.config:
        key, _, value = text.partition("=")
        try:
            yaml.safe_load(value)
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())
            yield f"--config {key}={value} is no YAML ({said}); right is, for example, 'experiments=[lake.yaml]'"


if __name__ == "__main__":
    sys.exit("\n".join(faults_of_arguments(sys.argv[1:])) or 0)
