"""Weights that come with the repository: `python -m mnmef.learning.shipping [--scale S] [CELL ...]`.

For each cell `<system>_<sigma_y>`, the pretrained filter and, for each ensemble size, the fine-tuned heads alone are
put into resources/weights/<cell>, each with a JSON card beside it: how it was trained, for how long, on what, and its
score on the tuning split, which is simulated in memory. At an N where fine-tuning made the score worse, the heads are
those of the pretrained filter. What is there already is replaced only by a better pretrained filter, or, if that is the
same, by better heads, each for itself. `mnmef_conv` is replaced by a better one.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import xarray as xr
import yaml

from mnmef.config.settings import at_scale
from mnmef.io.files import write_text
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, write_tensors
from mnmef.learning.selection import is_worse, rank, tuning_score, tuning_split

FOLDER = Path("resources/weights")
BASE = "pretrained.safetensors"
CONV = "conv.safetensors"


def ship(checkpoint: Path, target: Path, split: xr.Dataset, members: int, seed: int, *, heads_only: bool) -> None:
    """Copy `checkpoint`, or its heads alone, to `target`, score what was stored and write the card beside it.

    Heads that score worse than those that they were tuned from give way to these; `kept_pretrained` of the card says
    whether they did.
    """
    card = read_card(checkpoint)
    tensors = read_tensors(checkpoint)

    if heads_only:
        base_path = target.with_name(BASE)
        base = read_tensors(base_path)
        frozen = [name for name in tensors if name.startswith("encoders.")]
        if not all(torch.equal(tensors.pop(name), base[name]) for name in frozen):
            raise ValueError(f"{checkpoint} was not fine-tuned from {base_path}: their encoders differ")
        card["base"] = BASE
        already = card.get("kept_pretrained", False)  # by the config's `finetuning.keep`
        card["kept_pretrained"] = already or is_worse(checkpoint, base_path, split, members, seed)
        if card["kept_pretrained"]:
            tensors = {name: base[name] for name in tensors}
    write_tensors(tensors, card, target)
    filter_ = load_checkpoint(target, system=card["system"], sigma_y=card["sigma_y"])
    score = tuning_score(filter_, split, members, seed)
    described = {**card, "tuning_split": score, "sha256": sha256(target)}
    write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", target.with_suffix(".json"))


def ship_cell(cell: str, source: Path, target: Path, settings: Mapping[str, Any]) -> None:
    """Ship the filters of `cell` from the folder `source` to `target`, except where what is there is no worse."""
    system, sigma_y = cell.rsplit("_", 1)
    seed = settings["seed"]
    members = settings["training"]["ensemble_size"]
    split = tuning_split(system, settings)

    def gives_way(old: Path, new: Path, size: int) -> bool:
        """Whether what is at `old` gives way to `new`; says so if it does not."""
        if not old.exists():
            return True
        filters = (load_checkpoint(path, system=system, sigma_y=float(sigma_y)) for path in (old, new))
        there, other = (tuning_score(filter_, split, size, seed) for filter_ in filters)
        better = rank(other) < rank(there)
        if not better:
            against = f"{there['rrmse']:.4f} on the tuning split against {other['rrmse']:.4f}"
            print(f"{cell}/{old.name}: kept, R-RMSE {against}")
        return better

    for base, sizes in ((BASE, settings["ensemble_sizes"]), (CONV, [])):
        new, old = source / cell / base, target / cell / base
        if not new.exists():
            continue
        is_same = old.exists() and _hold_the_same(old, new)
        if not is_same:
            if not gives_way(old, new, members):
                continue
            for size in sizes:  # heads belong to the base that they were tuned from
                for stale in old.parent.glob(f"heads_{size}.*"):
                    stale.unlink()
            ship(new, old, split, members, seed, heads_only=False)
            print(f"{cell}/{base}: shipped")
        elif not sizes:
            print(f"{cell}/{base}: kept, it is the same")
        for size in sizes:
            tuned, heads = source / cell / f"tuned_{size}.safetensors", target / cell / f"heads_{size}.safetensors"
            if tuned.exists() and gives_way(heads, tuned, size):
                ship(tuned, heads, split, size, seed, heads_only=True)
                print(f"{cell}/{heads.name}: shipped")


def _hold_the_same(one: Path, other: Path) -> bool:
    """Whether two checkpoints have the same weights."""
    a, b = read_tensors(one), read_tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship the cells that are named, by default all of the config; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.learning.shipping", description="Ship trained weights.")
    parser.add_argument("cells", nargs="*", metavar="CELL", help="such as lorenz96_1.0 (default: all of the config)")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    parser.add_argument("--source", type=Path, help="folder of the training (default: results/SCALE/training)")
    parser.add_argument("--target", type=Path, default=FOLDER, help="(default: %(default)s)")
    given = parser.parse_args(arguments)
    settings = at_scale(yaml.safe_load(given.config.read_text(encoding="utf-8")), given.scale)
    source = given.source or Path(f"results/{settings['scale']}/training")
    cells = given.cells or [f"{s}_{y}" for s in settings["systems"] for y in settings["noise_levels"]]
    for cell in cells:
        if not any((source / cell / base).exists() for base in (BASE, CONV)):
            parser.error(f"there is no {source / cell / BASE}: train {cell} first, or name another --source")
    for cell in cells:
        ship_cell(cell, source, given.target, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
