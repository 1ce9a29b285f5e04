"""Write docs/gallery.md (`make gallery`): every figure with its caption, and its picture if docs/gallery/ has it."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1]
INTRODUCTION = """# Gallery

Every figure of the paper, and those on calibration, with the caption that reports have. Pictures are of scale `laptop`
with the shipped weights, sigma_y = 1, N = 5, 10, 20 and 40, and LETKF as the only classical filter, but for figure 7
(`make gallery`); `make reproduce` draws all of them, also as SVG, into `results/laptop/figures/`. More pictures: the
[animation](README.md), [longer grids](beyond.md#longer-grids), and [figure 1](../README.md) of trainings from scratch.
"""


def order(path: Path) -> tuple[bool, bool, int]:
    """Return where a figure comes: by number, the appendix after the others, then calibration."""
    number = re.search(r"\d+", path.stem)
    return "calibration" in path.stem, "_c" in path.stem, int(number[0]) if number else 0


def page() -> str:
    """Return the page."""
    figures = [*(DOCS / "captions").glob("figure_*.rst"), *(DOCS / "captions").glob("calibration_*.rst")]
    parts = [INTRODUCTION]
    for path in sorted(figures, key=order):
        title, text = path.read_text(encoding="utf-8").strip().removeprefix("**").split(".** ", 1)
        number = path.stem.removeprefix("figure_").upper().replace("C1", "C.1")
        heading = title if "calibration" in path.stem else f"Figure {number}: {title}"
        shown = f"*Not drawn for this page: `make reproduce TARGETS={path.stem}`.*"
        if (DOCS / "gallery" / f"{path.stem}.png").exists():
            shown = f"![{title}](gallery/{path.stem}.png)"
        parts.append(f"## {heading}\n\n{shown}\n\n{text}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")
