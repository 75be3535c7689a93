"""Make the copies of the notebooks that are read without running: ``python scripts/render_notebooks.py [NUMBER …]``.

Runs eval/notebooks/*.ipynb in a new data folder, with the embedded default, and writes docs/notebooks/*.md with their
outputs, pictures in images/ beside. The fourth looks with a tiny model that has learned to read eight words in half a
minute, at pages drawn for it, since a model of use would have to be downloaded; its copy says so.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SOURCE = ROOT / "eval" / "notebooks"
TARGET = ROOT / "docs" / "notebooks"
MAPS = "4-similarity-maps"
TINY = (
    "*In this copy the model is a tiny one that has learned to read eight words in half a minute, and the pages were "
    "drawn for it: `folder` was changed. A model of the ColPali family reads real pages as this one reads these.*"
)


def main(numbers: list[str]) -> None:
    """Render the notebooks whose names begin with one of ``numbers``; all without any."""
    (TARGET / "images").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        desk = Path(folder)
        shutil.copyfile(SOURCE / "sample_questions.jsonl", desk / "sample_questions.jsonl")
        for path in sorted(SOURCE.glob("*.ipynb")):
            if not numbers or path.stem[0] in numbers:
                for old in (TARGET / "images").glob(f"{path.stem[0]}-*"):
                    old.unlink()
                (TARGET / f"{path.stem}.md").write_text(rendered(path, desk), encoding="utf-8")
    print(f"{sum(path.stat().st_size for path in TARGET.rglob('*') if path.is_file()) / 1000:.0f} kB")


def rendered(path: Path, desk: Path) -> str:
    """The notebook with its outputs as Markdown; its pictures are written."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    sources = [cell.source for cell in notebook.cells]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "HOME": str(desk), "XDG_CONFIG_HOME": str(desk)}
    if path.stem == MAPS:
        environment |= drawn(desk)
        setup = notebook.cells[1]
        setup.source = re.sub(r"^folder = .*$", 'folder = Path("drawn")', setup.source, flags=re.MULTILINE)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(desk)}}).execute(env=environment)
    pictures = Pictures(path.stem[0])
    parts = [f"<!-- Made by scripts/render_notebooks.py of eval/notebooks/{path.name}. -->"]
    for cell, source in zip(notebook.cells, sources, strict=True):
        parts.append(source if cell.cell_type == "markdown" else f"```python\n{source}\n```")
        parts += [pictures.shown(output) for output in cell.get("outputs", [])]
    if path.stem == MAPS:
        parts.insert(2, TINY)
    return "\n\n".join(part for part in parts if part) + "\n"


def drawn(desk: Path) -> dict[str, str]:
    """Pages that show a few of eight words, and a model that has learned these; the settings that name it."""
    import numpy as np
    from PIL import Image

    from benchmarks.tiny_reader import draw_page, train_reader

    train_reader(desk / "tiny-reader-of-eight-words")
    rng = np.random.default_rng(7)
    images = [Image.fromarray(draw_page(rng).image) for _ in range(12)]
    (desk / "drawn").mkdir()
    images[0].save(desk / "drawn" / "drawn.pdf", save_all=True, append_images=images[1:], resolution=72)
    return {
        "FOLIOSCOPE_VISUAL_MODEL": f"colpali:{desk / 'tiny-reader-of-eight-words'}",
        "FOLIOSCOPE_CHANNELS": "lexical",
        "FOLIOSCOPE_OCR": "off",  # the words are to be seen, not to be read
    }


class Pictures:
    """Takes pictures out of outputs and writes them as files named ``<number>-<count>``."""

    def __init__(self, number: str) -> None:
        self._number = number
        self._count = 0

    def shown(self, output: Any) -> str:
        """An output as Markdown; what is said on stderr is left out."""
        if output.output_type == "stream":
            return f"```\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
        if html := output.data.get("text/html"):
            html = re.sub(r'src="data:image/webp;base64,([^"]+)"', self._webp, html)
            html = re.sub(r"<svg.*?</svg>", self._svg, html, flags=re.DOTALL)
            return html.replace("\n", " ")  # a blank line would end it
        return f"```\n{output.data['text/plain']}\n```"

    def _webp(self, found: re.Match[str]) -> str:
        return f'src="{self._keep(base64.b64decode(found[1]), "webp")}"'

    def _svg(self, found: re.Match[str]) -> str:
        return f'<img src="{self._keep(found[0].encode(), "svg")}" alt="">'

    def _keep(self, data: bytes, ending: str) -> str:
        self._count += 1
        name = f"{self._number}-{self._count}.{ending}"
        (TARGET / "images" / name).write_bytes(data)
        return f"images/{name}"


if __name__ == "__main__":
    main(sys.argv[1:])
