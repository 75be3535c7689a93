"""The project itself: what the wheel carries, which names are public, and that its papers agree with its code."""

import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

import folioscope

ROOT = Path(__file__).parents[1]
PACKAGES = {"api", "eval", "folioscope", "generation", "ingest", "retrieval"}

# The public names of each package. To change them is to change what others rely on: say so in CHANGELOG.md.
PUBLIC = {
    "eval": [
        "Comparison",
        "Dataset",
        "PageName",
        "Question",
        "Run",
        "TrueRegion",
        "compare",
        "gallery",
        "load",
        "run",
        "show",
    ],
    "folioscope": ["__version__"],
    "generation": [
        "Cached",
        "Choice",
        "Classification",
        "Comparison",
        "Event",
        "Extraction",
        "Look",
        "Match",
        "Preview",
        "Reader",
        "Summary",
        "answer",
        "choose",
        "classify",
        "classify_async",
        "compare",
        "compare_async",
        "draw",
        "extended",
        "extract",
        "extract_async",
        "forget",
        "look",
        "look_async",
        "open_model",
        "open_vision_model",
        "preview",
        "save",
        "stream",
        "summarize",
        "summarize_async",
        "to_json",
        "verify",
    ],
    "ingest": ["Event", "Library", "Outcome", "Report"],
    "retrieval": [
        "Channel",
        "EdgeIndex",
        "MemoryIndex",
        "Retriever",
        "analyzer",
        "erase_index",
        "fuse",
        "index_exists",
        "open_encoder",
        "open_index",
        "reads_images",
        "snippet",
        "text_regions",
    ],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git has or would take, so that nothing ignored can slip in."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_carries_every_module_and_every_file_of_ours_that_is_needed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    wanted = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for pattern in ("*.py", "*.onnx", "*.pdf", "*.json", "*.html", "*.css", "*.js", "*.svg")
        for path in (ROOT / package).rglob(pattern)
        if "notebooks" not in path.parts
    ]
    assert len(wanted) > len(PACKAGES)
    assert sorted(set(wanted) - names) == []


def test_the_wheel_carries_no_tests_and_no_notebooks(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "test" in name.split("/")[0] or name.endswith(".ipynb")] == []
    assert any(name.endswith("licenses/NOTICE") for name in names)


def test_the_wheel_works_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from importlib.resources import files\n"
        "import folioscope, ingest, retrieval, generation, eval, api\n"
        "print(folioscope.__file__, folioscope.__version__)\n"
        "print(sorted(path.name for path in (files('api') / 'samples').iterdir()))\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert str(tmp_path) in run.stdout
    assert folioscope.__version__ in run.stdout
    assert "questions.json" in run.stdout


def test_our_top_level_names_belong_to_us_alone() -> None:
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, ())) <= {"folioscope"}
        spec = find_spec(package)
        assert spec is not None
        assert Path(spec.origin or "").parent == ROOT / package


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_pinned_and_exist(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(PUBLIC[package])
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_changelog_starts_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(.+?)\] - (Unreleased|\d{4}-\d{2}-\d{2})$", text, re.MULTILINE)
    assert latest is not None
    assert latest[1] == folioscope.__version__


def test_make_alone_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    rules = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert re.findall(r"make ([a-z-]+)", shown) == rules
    assert {"demo", "test", "check"} <= set(rules)


def test_what_the_readme_tells_people_to_make_exists() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for paper in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        told = re.findall(r"^(?:    )?make ([a-z-]+)", (ROOT / paper).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(told) <= rules
        assert "test" in told


def test_links_between_the_papers_lead_somewhere() -> None:
    for paper in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", paper.read_text(encoding="utf-8")):
            assert "://" in target or (ROOT / target).exists(), f"{paper.name} links to {target}"


def test_constraints_pin_every_dependency_exactly() -> None:
    import tomllib

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {re.split(r"[<>=\[]", each)[0] for each in chain(project["dependencies"], *extras.values())}
    assert {normal(name) for name in names} - {normal(pin) for pin in pins} == {"folioscope"}  # `all` names us
    assert not any("+" in version for version in pins.values())  # whichever build a registry has


def test_the_extra_all_has_every_extra_that_users_may_want() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == extras.keys() - {"all", "dev"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_can_be_started(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
