"""Results in one file, and back: `make archive`, `make restore ARCHIVE=FILE` and `make verify`.

An archive is a Workflow Run RO-Crate (`benchmarks/crate.py`) as .tar.xz: what lies below results/<scale>, except truths
and resume files, which are made anew where a job needs them; Snakemake's records of these files, by which it knows that
nothing is out of date; Snakefile and rules; versions; a list of checksums that `sha256sum --check` reads as well.
"""

import argparse
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import crate
from benchmarks.compare import difference
from mnmef.core.hardware import cpu_name
from mnmef.io import manifest
from mnmef.io.files import package_versions, source_commit, write_atomically

ROOT = Path(__file__).parents[1]
RECORDS = Path(".snakemake/metadata")
LISTED, VERSIONS = "manifest-sha256.txt", "versions.json"
LEFT_OUT = ("data", "resume")
"""Folders of results that are not archived."""
SAMPLED = ("search_baseline", "finetune_filter", "evaluate_baseline", "evaluate_learned", "score_filters")
"""Rules of which `verify` runs a job again each: results without measured times, made within minutes."""
PROCESSOR = ".processor"
"""File in restored results with the name of the processor that made them."""


def results_of(scale: str) -> list[Path]:
    """Return the files of a finished run that are archived; `FileNotFoundError` where there are none."""
    folder = Path("results") / scale
    if not (folder / "README.md").exists():
        raise FileNotFoundError(f"there is no finished run in {folder}: `make reproduce SCALE={scale}` makes it")
    kept = (path for path in sorted(folder.rglob("*")) if path.relative_to(folder).parts[0] not in LEFT_OUT)
    return [path for path in kept if path.is_file() and path.suffix != ".lock"]


def records_of(scale: str) -> dict[str, Path]:
    """Return Snakemake's records of the files of a scale: where they lie, by the path of the file."""
    found = {}
    for path in sorted(RECORDS.rglob("*")):
        if path.is_file():  # a long name goes on in folders
            code = "".join(part.removeprefix("@") for part in path.relative_to(RECORDS).parts)
            found[urlsafe_b64decode(code).decode()] = path
    return {name: path for name, path in found.items() if name.startswith(f"results/{scale}/")}


def processor_of(scale: str) -> str:
    """Return the processor that made the results of a scale: that of this machine, unless they were restored."""
    file = Path("results") / scale / PROCESSOR
    return file.read_text() if file.exists() else cpu_name()


def _run(scale: str, records: Mapping[str, Path]) -> dict[str, str]:
    """Return what is said of a run: commit, versions, processor, times."""
    times = [json.loads(path.read_text()) for path in records.values()]
    begin, end = (pick(each[key] for each in times) for pick, key in ((min, "starttime"), (max, "endtime")))
    started, ended, now = (datetime.fromtimestamp(each, UTC).isoformat() for each in (begin, end, time.time()))
    known = {"scale": scale, "commit": source_commit(), "processor": processor_of(scale)}
    return {**known, "snakemake": metadata.version("snakemake"), "started": started, "ended": ended, "published": now}


def pack(scale: str, out: Path) -> str:
    """Write the archive of a finished run; return a line about it."""
    records = records_of(scale)
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").rglob("*.smk"))]
    files = {path.relative_to(ROOT).as_posix(): path for path in sources}
    files |= {path.as_posix(): path for path in [*results_of(scale), *records.values()]}
    run = _run(scale, records)
    with tempfile.TemporaryDirectory() as temporary:
        versions, described, listed = (Path(temporary) / name for name in (VERSIONS, crate.NAME, LISTED))
        versions.write_text(json.dumps({**run, "versions": package_versions()}, indent=1))
        files[VERSIONS] = versions
        sums = {name: (manifest.checksum(path), path.stat().st_size) for name, path in files.items()}
        described.write_text(json.dumps(crate.describe(sums, run), indent=1))
        sums[crate.NAME] = (manifest.checksum(described), 0)
        listed.write_text("".join(f"{sums[name][0]}  {name}\n" for name in sorted(sums)))
        members = {crate.NAME: described, LISTED: listed, **files}
        write_atomically(out, lambda path: _compress(members, path))
    size = out.stat().st_size / 1e6
    return f"Wrote {out}: {len(members)} files, {size:.1f} MB, SHA-256 {manifest.checksum(out)}"


def _compress(members: Mapping[str, Path], path: Path) -> None:
    """Write files by their names into an archive, the same bits for the same files."""
    # With a window of 64 MiB, which holds all weights of a cell, a fine-tuned filter costs its heads alone.
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for name, file in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(entry, content)


def _faults(folder: Path) -> Iterator[str]:
    """Name the files of an unpacked archive that are missing, more than listed, or not as they were."""
    listing = folder / LISTED
    lines = listing.read_text().splitlines() if listing.is_file() else []
    listed = {name: total for total, _, name in (line.partition("  ") for line in lines)}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {LISTED}
    for name in sorted({*listed, *there}):
        if name not in there:
            yield f"{name} is missing"
        elif name not in listed:
            yield f"{name} is not in {LISTED}"
        elif manifest.checksum(folder / name) != listed[name]:
            yield f"{name} is not as it was archived: its SHA-256 is another"


def restore(file: Path) -> str:
    """Put the files of an archive back below results/, all of one time stamp, so that nothing is out of date.

    Raises
    ------
    ValueError
        If it is no archive, or a file in it has been changed; nothing is written then.
    FileExistsError
        If there are results of this scale already.
    """
    with tempfile.TemporaryDirectory(dir=".", prefix=".restored-") as temporary:
        folder = Path(temporary)
        try:
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise ValueError(f"{file} is no archive of a run, or a damaged one: {error}") from error
        faults = list(_faults(folder))
        if faults or not (folder / VERSIONS).exists():
            raise ValueError("\n".join([f"{file} cannot be restored:", *(faults or [f"it has no {VERSIONS}"])]))
        run = json.loads((folder / VERSIONS).read_text())
        target = Path("results") / re.sub(r"\W", "_", run["scale"])
        if target.exists():
            raise FileExistsError(f"{target} is there already: move it away, or restore in another folder")
        now = time.time()
        for path in folder.rglob("*"):
            os.utime(path, (now, now))
        shutil.copytree(folder / RECORDS, RECORDS, dirs_exist_ok=True)
        (folder / target / PROCESSOR).write_text(run["processor"])
        target.parent.mkdir(exist_ok=True)
        shutil.move(folder / target, target)
    said = f"Restored {target}, made at commit {run['commit']} on {run['processor']}"
    here = source_commit()
    return said if here == run["commit"] else f"{said}; this is {here}: jobs that it changes will be run again"


def sample(scale: str, seed: int) -> dict[str, dict[str, Any]]:
    """Choose a job of each rule of `SAMPLED`: an output of it, with Snakemake's record."""
    records = {name: json.loads(path.read_text()) for name, path in records_of(scale).items() if Path(name).exists()}
    chosen = {}
    for rule in SAMPLED:
        names = sorted(name for name, record in records.items() if record["rule"] == rule)
        if names:
            name = random.Random(f"{seed} {rule}").choice(names)
            chosen[name] = records[name]
    return chosen


def verify(scale: str, config: Sequence[str], seed: int) -> tuple[list[str], int]:
    """Run a sample of jobs again, in a folder aside, and compare their results with those that are there.

    Returns
    -------
    faults : list of str
        Files that are not as they were written, and what differs, a line for each. Numbers must have the same bits on
        the processor that the run names, and means within `benchmarks.compare.RELATIVE` on another.
    jobs : int
        Number of files compared.
    """
    chosen = sample(scale, seed)
    if not chosen:
        raise FileNotFoundError(f"no job of a run at scale {scale} is recorded here: reproduce or restore one first")
    results, same = Path("results") / scale, processor_of(scale) == cpu_name()
    recorded = manifest.read(results).items()
    changed = [
        name for name, total in recorded if (results / name).exists() and manifest.checksum(results / name) != total
    ]
    with tempfile.TemporaryDirectory(prefix="mnmef-verify-") as temporary:
        folder = Path(temporary)
        shutil.copytree(results, folder / results)
        inputs = {name for record in chosen.values() for name in record["input"] if Path(name).is_relative_to(results)}
        missing = sorted(name for name in inputs if not (folder / name).exists())
        if missing:  # truths, which must not look newer than what was made from them
            _snakemake(folder, config, missing)
            for name in missing:
                os.utime(folder / name, (1, 1))
        _snakemake(folder, config, ["--force", *chosen])
        found = {name: difference(Path(name), folder / name, exact=same) for name in chosen}
    faults = [f"{results / name}: its SHA-256 is not the one recorded when it was written" for name in changed]
    return faults + [f"{name}: {text}" for name, text in found.items() if text], len(chosen)


def _snakemake(folder: Path, config: Sequence[str], targets: Sequence[str]) -> None:
    """Run targets in a folder; `RuntimeError` with the end of what was said if that fails."""
    command = [sys.executable, "-m", "snakemake", *targets, "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", "all", "--rerun-triggers", "mtime", "--config", *config]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, restore or verify; return the exit status, 1 after an error or a difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packed, restored, verified = (commands.add_parser(name) for name in ("pack", "restore", "verify"))
    packed.add_argument("scale")
    packed.add_argument("--out", type=Path, help="(default: results/mnmef-SCALE.tar.xz)")
    restored.add_argument("archive", type=Path)
    verified.add_argument("scale")
    verified.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="of the run, besides its scale")
    verified.add_argument("--seed", type=int, default=0, help="of the choice of jobs (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "pack":
            print(pack(given.scale, given.out or Path(f"results/mnmef-{given.scale}.tar.xz")))
        elif given.command == "restore":
            print(restore(given.archive))
        else:
            faults, jobs = verify(given.scale, [f"scale={given.scale}", *given.config], given.seed)
            print(*faults, f"{jobs} jobs were run again; {len(faults)} files differ", sep="\n")
            return int(bool(faults))
    except (OSError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
