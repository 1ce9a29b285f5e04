"""Copies of the repository, whose kernels need not be compiled anew."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = "mnmef/kernels"


def share_kernels(tree: Path) -> None:
    """Let a copy of the repository use its machine code: numba names a folder of the cache by that of the source."""
    # Not at the top, where the number of threads is still to be set.
    import numba
    from numba.core.caching import UserProvidedCacheLocator

    import mnmef.kernels.lanes  # noqa: F401  chooses the folder

    kept = Path(numba.config.CACHE_DIR)
    shared, own = (UserProvidedCacheLocator.get_suitable_cache_subpath(str(p / KERNELS / "x.py")) for p in (ROOT, tree))
    (kept / shared).mkdir(exist_ok=True)
    folder = tree / KERNELS / "__pycache__" / kept.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / own).symlink_to(kept / shared)
