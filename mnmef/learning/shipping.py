"""Weights that come with the repository: `python -m mnmef.learning.shipping [--scale S] [CELL ...]`.

For each cell `<experiment>_<sigma_y>`, the pretrained filter and, for each ensemble size, the fine-tuned heads alone
are put into resources/weights/<cell>, each with a JSON card beside it: how it was trained, for how long, on what, and
its score on the tuning split, which is simulated in memory. At an N where fine-tuning made the score worse, the heads
are those of the pretrained filter. What is there already is replaced only by a better pretrained filter, or, if that is
the same, by better heads, each for itself. Filters that are not fine-tuned are replaced by better ones.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import xarray as xr

from mnmef.config.settings import Settings, at_scale
from mnmef.core.names import LEARNED_FILTERS
from mnmef.data.splits import make_split
from mnmef.experiments.load import load_experiment
from mnmef.io.files import write_text
from mnmef.io.strict_yaml import read_yaml
from mnmef.learning.checkpoints import BASE, load_checkpoint, read_card, read_tensors, write_tensors
from mnmef.learning.selection import is_worse, tuning_score
from mnmef.learning.shipped import SHIPPED_WEIGHTS

UNTUNED = tuple(f"{name}_pretrained.safetensors" for name in LEARNED_FILTERS if name != "mnmef")
"""Checkpoints of filters that are not fine-tuned."""


def ship(checkpoint: Path, target: Path, split: xr.Dataset, members: int, seed: int, *, heads_only: bool) -> None:
    """Copy a checkpoint, or its heads alone, score the copy and write the card beside it.

    Heads that score worse than the pretrained ones give way to these; `kept_pretrained` of the card says so.

    Parameters
    ----------
    checkpoint : Path
        Trained weights.
    target : Path
        Where to copy them.
    split : Dataset
        The tuning split.
    members : int
        Number of members N of the score.
    seed : int
        Root of the random stream of the score.
    heads_only : bool
        Copy the heads alone; the file `BASE` beside `target` has the other weights.

    Raises
    ------
    ValueError
        If heads were tuned from another filter than the one in `BASE`.
    """
    card, tensors = read_card(checkpoint), read_tensors(checkpoint)
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
    score = tuning_score(load_checkpoint(target), split, members, seed)
    described = {**card, "tuning_split": score, "sha256": sha256(target)}
    write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", target.with_suffix(".json"))


def ship_cell(cell: str, source: Path, target: Path, settings: Settings) -> None:
    """Ship the filters of `cell` from the folder `source` to `target`, except where the ones there are no worse."""
    seed, members = settings["seed"], settings["training"]["ensemble_size"]
    name, sigma_y = cell.rsplit("_", 1)
    split = make_split(load_experiment(name), "tune", {**settings, "noise_levels": [float(sigma_y)]})
    heads = {f"mnmef_finetuned_{size}.safetensors": size for size in settings["ensemble_sizes"]}
    has_base = False  # the one in `target` is the one that the heads were tuned from
    for name, size in {BASE: members, **heads, **dict.fromkeys(UNTUNED, members)}.items():
        new, old = source / cell / name, target / cell / name
        if not new.exists() or (name in heads and not has_base):
            continue
        better = not old.exists() or is_worse(old, new, split, size, seed)
        if name == BASE:
            has_base = better or _have_same_tensors(old, new)
            for stale in old.parent.glob("mnmef_finetuned_*") if better else ():
                stale.unlink()
        if better:
            ship(new, old, split, size, seed, heads_only=name in heads)
        print(f"{cell}/{name}: {'shipped' if better else 'kept, it is no worse on the tuning split'}")


def _have_same_tensors(one: Path, other: Path) -> bool:
    a, b = read_tensors(one), read_tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship the named cells, by default all of the config; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.learning.shipping", description="Ship trained weights.")
    parser.add_argument("cells", nargs="*", metavar="CELL", help="such as EXPERIMENT_1.0 (default: all of the config)")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    parser.add_argument("--source", type=Path, help="folder of the training (default: results/SCALE/training)")
    parser.add_argument("--target", type=Path, default=SHIPPED_WEIGHTS, help="(default: %(default)s)")
    given = parser.parse_args(arguments)
    raw = read_yaml(given.config)
    settings = at_scale(raw, given.scale)
    source = given.source or Path(f"results/{settings['scale']}/training")
    cells = given.cells or [f"{e}_{y}" for e in settings["experiments"] for y in settings["noise_levels"]]
    for cell in cells:
        if not any((source / cell / base).exists() for base in (BASE, *UNTUNED)):
            parser.error(f"there is no {source / cell / BASE}: train {cell} first, or name another --source")
    for cell in cells:
        ship_cell(cell, source, given.target, at_scale(raw, given.scale, cell.rsplit("_", 1)[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
