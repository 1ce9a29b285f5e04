"""Experiments of one's own: `python -m mnmef new-experiment lake.yaml` and `python -m mnmef check lake.yaml`; analyses
that were made elsewhere: `observations` and `score`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mnmef.assimilation.check import check_experiment, summary
from mnmef.experiments.files import SHIPPED_FOLDER
from mnmef.experiments.load import load_experiment
from mnmef.io.strict_yaml import read_yaml
from mnmef.report.submissions import add_commands

TEMPLATE = SHIPPED_FOLDER / "template.yaml"
CHECKOUT = Path(__file__).parents[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mnmef", description="Experiments of your own.")
    commands = parser.add_subparsers(required=True)
    new = commands.add_parser("new-experiment", help="write a file with comments to begin with")
    check = commands.add_parser("check", help="run a few cycles, and say what is wrong")
    for each in (new, check):
        each.add_argument("file", type=Path, help="the experiment's file, such as lake.yaml")
    new.set_defaults(command=lambda given: new_experiment(_yaml(given.file)))
    check.set_defaults(command=lambda given: check_file(_yaml(given.file), given.config, given.scale))
    check.add_argument("--config", type=Path, default=CHECKOUT / "config.yaml", help="settings (default: %(default)s)")
    check.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    add_commands(commands, CHECKOUT / "config.yaml")
    return parser


def _yaml(file: Path) -> Path:
    """Refuse a name that no experiment's file can have."""
    if file.suffix != ".yaml":
        raise ValueError(f"{file}: the name of an experiment's file ends in .yaml")
    return file


def new_experiment(file: Path) -> str:
    """Write the template to `file`, and say so. Raises `OSError` if there is such a file, or it cannot be written."""
    with file.open("x", encoding="utf-8") as opened:
        opened.write(TEMPLATE.read_text(encoding="utf-8"))
    return f"Wrote {file}. Edit it, then: python -m mnmef check {file}"


def check_file(file: Path, config: Path, scale: str | None) -> str:
    """Say that nothing is wrong with an experiment. Raises `ValueError` with a line for each fault."""
    faults = check_experiment(file, read_yaml(config), scale)
    if faults:
        raise ValueError("\n".join(faults))
    return f"{summary(load_experiment(file.stem))}. No fault was found."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        print(given.command(given))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
