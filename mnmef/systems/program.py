"""Forecast models that are programs of their own, in whatever language: states in a file, states in another."""

import hashlib
import inspect
import os
import shlex
import subprocess
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mnmef.core.seeds import numpy_generator
from mnmef.systems.base import System


class Program(System):
    """An external program as forecast model: a class of the user's derives from it and says how to start it.

    A call advances a batch of states: the program reads them from a file and writes the results to another, as numbers
    in double precision without a header, one state after the other. Calls run in parallel. One fails by its exit
    status, its time limit, or results that are not all there and finite; its states are then tried one by one.

    Parameters
    ----------
    batch : int
        Largest number of states in a call.
    processes : int or None
        Calls at a time; as many as there are cores by default.
    seconds : float or None
        Time limit of a call.
    on_failure : str
        "stop", or "replace": a member that failed becomes the forecast of another one of its ensemble, drawn by the
        ensemble and `seed`, and a warning names both. Truths are not replaced.
    seed : int
    """

    command: ClassVar[str]
    """How to start it, in the folder of the class's file: `{input}` and `{output}` are the files, `{count}` is the
    number of states and `{steps}` that of steps."""

    def __init__(
        self,
        batch: int = 1,
        processes: int | None = None,
        seconds: float | None = None,
        on_failure: Literal["stop", "replace"] = "stop",
        seed: int = 0,
    ) -> None:
        if on_failure not in ("stop", "replace"):
            raise ValueError(f"on_failure = {on_failure!r}: must be stop or replace")
        if batch < 1 or (processes is not None and processes < 1):
            raise ValueError(f"batch and processes must be at least 1, not {batch} and {processes}")
        self.batch, self.processes, self.seconds = batch, processes or os.cpu_count(), seconds
        self.on_failure, self.seed = on_failure, seed
        self.folder = Path(inspect.getfile(type(self))).resolve().parent

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by `step_size`."""
        return self.advance(state, 1)

    def advance(
        self, state: Tensor, steps: int, precision: torch.dtype | None = None, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Advance ensembles (..., N, Nx), or truths (T, Nx), in double precision; what is not finite stays so.

        Raises
        ------
        RuntimeError
            Naming a member that failed and is not replaced.
        """
        rows = state.detach().reshape(-1, self.state_size).to("cpu", torch.float64).numpy()
        result, finite = np.full_like(rows, np.nan), np.flatnonzero(np.isfinite(rows).all(-1))
        faults: dict[int, str] = {}

        def run(part: np.ndarray) -> None:
            try:
                result[part] = self._call(rows[part], steps)
            except (OSError, RuntimeError) as error:
                if len(part) == 1:
                    faults[int(part[0])] = str(error)
                else:
                    for row in part:
                        run(row[None])

        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(run, (finite[i : i + self.batch] for i in range(0, len(finite), self.batch))))
        if faults:
            self._replace(rows, result, faults, state.shape[-2] if state.ndim > 2 else 1)
        return torch.from_numpy(result).reshape(state.shape).to(state)

    def _call(self, states: np.ndarray, steps: int) -> np.ndarray:
        """Advance states (M, Nx) by one call of the program."""
        with tempfile.TemporaryDirectory(prefix="mnmef-") as folder:
            given, made = Path(folder, "input"), Path(folder, "output")
            states.tofile(given)
            values = {"input": given, "output": made, "count": len(states), "steps": steps}
            command = [word.format_map(values) for word in shlex.split(self.command)]
            try:
                done = subprocess.run(
                    command, cwd=self.folder, capture_output=True, text=True, errors="replace", timeout=self.seconds
                )
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"{command[0]} took more than {self.seconds:g} s") from None
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise RuntimeError(": ".join([f"{command[0]} ended with status {done.returncode}", *said]))
            found = np.fromfile(made) if made.exists() else np.empty(0)
        if found.size != states.size or not np.isfinite(found).all():
            wrong = f"{found.size - np.isfinite(found).sum()} that are not finite" if found.size else "no output"
            raise RuntimeError(f"{command[0]} wrote {found.size} numbers, {wrong}; right are {states.size}")
        return found.reshape(states.shape)

    def _replace(self, rows: np.ndarray, result: np.ndarray, faults: dict[int, str], members: int) -> None:
        """Replace failed rows of `result` by rows of other members of their ensembles, or stop."""
        for row, fault in sorted(faults.items()):
            ensemble, member = divmod(row, members)
            which = f"member {member} of ensemble {ensemble}" if members > 1 else f"state {row}"
            start = ensemble * members
            others = [each for each in range(start, start + members) if np.isfinite(result[each]).all()]
            others = [each for each in others if each not in faults]
            if self.on_failure == "stop" or not others:
                raise RuntimeError(f"{self.title}: {which} failed: {fault}")
            state = hashlib.sha256(rows[start : start + members].tobytes()).hexdigest()
            chosen = int(numpy_generator(self.seed, "replace", member, state).choice(others))
            result[row] = result[chosen]
            warnings.warn(f"{self.title}: {which} failed: {fault}; replaced by member {chosen - start}", stacklevel=2)
