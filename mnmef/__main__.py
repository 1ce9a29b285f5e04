"""`mnmef COMMAND ...`, or `python -m mnmef COMMAND ...`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import yaml

from mnmef import __version__
from mnmef.core.shipped import SHIPPED
from mnmef.experiments.files import SHIPPED_FOLDER, fault_of_name
from mnmef.io.files import package_versions
from mnmef.io.strict_yaml import read_yaml

TEMPLATE = SHIPPED_FOLDER / "template.yaml"
Command = Callable[[Sequence[str]], int]
"""Takes the arguments after the name of the command, and returns the exit status."""


def _main_of(module: str, function: str = "main") -> Command:
    """Return a function of a module, which is imported when it is called."""
    return lambda arguments: getattr(import_module(module), function)(arguments)


def _experiment_file(parser: argparse.ArgumentParser) -> None:
    """Add the argument with the experiment's file."""
    parser.add_argument("file", type=Path, help="the experiment's file, such as lake.yaml")


def _checked(file: Path) -> Path:
    """Return the path of an experiment's file; `ValueError` for another ending."""
    if file.suffix != ".yaml":
        raise ValueError(f"{file}: the name of an experiment's file ends in .yaml")
    return file


def new_experiment(arguments: Sequence[str]) -> int:
    """Write the template of an experiment's file. Raises `OSError` if there is such a file, or it cannot be written."""
    parser = argparse.ArgumentParser(prog="mnmef new-experiment", description="Write a file with comments to edit.")
    _experiment_file(parser)
    file = _checked(parser.parse_args(arguments).file)
    if fault := fault_of_name(file):
        raise ValueError(fault)
    with file.open("x", encoding="utf-8") as opened:
        opened.write(TEMPLATE.read_text(encoding="utf-8"))
    print(f"Wrote {file}. Edit it, then: python -m mnmef check {file}")
    return 0


def check(arguments: Sequence[str]) -> int:
    """Say that nothing is wrong with an experiment. Raises `ValueError` with a line for each fault."""
    from mnmef.assimilation.check import check_experiment, summary  # needs pydantic
    from mnmef.experiments.load import load_experiment

    parser = argparse.ArgumentParser(
        prog="mnmef check", description="Simulate an experiment, run a few cycles of filters, and say what is wrong."
    )
    _experiment_file(parser)
    parser.add_argument("--config", type=Path, default=SHIPPED / "config.yaml", help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    given = parser.parse_args(arguments)
    faults = check_experiment(_checked(given.file), read_yaml(given.config), given.scale)
    if faults:
        raise ValueError("\n".join(faults))
    print(f"{summary(load_experiment(given.file.stem))}. No fault was found.")
    return 0


def info(arguments: Sequence[str]) -> int:
    """Print the card of a file of weights, or the list of those that come with the package."""
    from mnmef.learning.checkpoints import read_card, read_tensors
    from mnmef.learning.shipped import shipped_weights

    parser = argparse.ArgumentParser(prog="mnmef info", description="Say what a file of weights is, and its scores.")
    parser.add_argument("weights", nargs="?", type=Path, help="a .safetensors file (default: list the shipped ones)")
    weights = parser.parse_args(arguments).weights
    if weights is None:
        print(shipped_weights().to_string(index=False))
        return 0
    card = {key: value for key, value in read_card(weights).items() if key != "description"}
    if weights.with_suffix(".json").exists():  # of shipped weights, with the score on the tuning split
        card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    parameters = sum(tensor.numel() for tensor in read_tensors(weights).values())
    print(yaml.safe_dump({**card, "parameters_in_file": parameters}, sort_keys=False), end="")
    return 0


def version(arguments: Sequence[str]) -> int:
    """Print the versions of this package and of those that decide its numbers."""
    argparse.ArgumentParser(prog="mnmef version", description=version.__doc__).parse_args(arguments)
    for name, found in ({"mnmef": __version__} | package_versions() | {"mnmef": __version__}).items():
        print(f"{name} {found}")
    return 0


COMMANDS: dict[str, tuple[Command, str]] = {
    "assimilate": (_main_of("mnmef.learning.apply"), "estimate the states behind the observations of a file"),
    "fit": (_main_of("mnmef.fit"), "train a filter without the workflow"),
    "info": (info, "say what a file of weights is, or list the weights that come with the package"),
    "new-experiment": (new_experiment, "write an experiment's file to begin with"),
    "check": (check, "run a few cycles of an experiment, and say what is wrong"),
    "observations": (
        _main_of("mnmef.report.submissions", "write_observations"),
        "write observations of the test split, without the truths",
    ),
    "score": (
        _main_of("mnmef.report.submissions", "score_analyses"),
        "score analyses that were made elsewhere from these observations",
    ),
    "version": (version, "print versions"),
}
"""Commands with a line for each in `mnmef --help`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, or 1 after an error, of which a line says what would be right."""
    parser = argparse.ArgumentParser(
        prog="mnmef",
        description="Learned ensemble filters for data assimilation.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<16}{text}" for name, (_, text) in COMMANDS.items())
        + "\n\n`mnmef COMMAND --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mnmef {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="of the command")
    given = parser.parse_args(arguments)
    try:
        return COMMANDS[given.command][0](given.arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mnmef"):
            raise
        print(f"mnmef {given.command} needs {error.name}: pip install 'mnmef[workflow]'", file=sys.stderr)
    except (OSError, ValueError, TypeError, FloatingPointError) as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
