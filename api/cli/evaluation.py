"""Commands that measure: eval run, compare, report, unpack, make, accept, tune."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.answering import ModelName
from api.cli.options import AsJson, CollectionName, DataDir, OpenImage, Quiet, TopK, open_library
from api.cli.output import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval import Comparison, Run
    from folioscope.ports import AnswerModel, VisionModel
    from ingest import Library

evaluation = typer.Typer(help="Measure retrieval and answers on questions about your documents.", no_args_is_help=True)
DatasetSource = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="A file or folder of questions, or hub:ORG/NAME; see docs/evaluation.md."),
]
RunFiles = Annotated[
    list[Path], typer.Argument(metavar="RUN…", help="Files that `eval run` wrote; the first is the base.")
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", help="What the run is called in tables and plots; else as its file."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(evaluation, name="eval")


@evaluation.command("run")
def run(
    dataset: DatasetSource,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the run is written.")] = None,
    name: Name = None,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="CHANNEL", help="Only this channel; may be repeated.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Have this model answer, and measure its answers.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="MODEL", help="Have this vision-language model judge the answers.")
    ] = None,
    inside: Annotated[
        bool, typer.Option("--inside", help="Answer from the document that the question names, not from all.")
    ] = False,
    heat: Annotated[
        bool, typer.Option("--heat", help="Measure where the visual channel saw the question, too; slow.")
    ] = False,
    top_k: TopK = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A measure of ir_measures, such as nDCG@5; may be repeated."),
    ] = None,
    encode_pages: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="Encode so many pages again, to time it; 0: none.")
    ] = 8,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask a dataset's questions and write down what was found, question by question."""
    import eval as evaluating
    from eval import metrics

    if judge and not model:
        raise typer.BadParameter("--judge judges answers: give a --model that answers")
    target = out or Path(f"eval-{name or Path(dataset).stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}.json")
    if not target.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {target.absolute().parent}")
    if target.is_dir():
        raise typer.BadParameter(f"{target} is a folder; name a file in it")
    questions = evaluating.load(dataset)
    with open_library(data_dir, model=model, top_k=top_k) as library:
        done = evaluating.run(
            questions,
            library,
            collection=collection,
            channels=channel,
            model=_answering(library) if model else None,
            judge=_judging(library, judge) if judge else None,
            answer_scope="inside" if inside else "whole",
            similarity=heat,
            measures=measure or metrics.MEASURES,
            encode_pages=encode_pages,
            name=name or (out.stem if out else ""),
            progress=None if quiet else _progress,
        )
    done.save(target)
    _show(done, target, as_json, quiet)


def _answering(library: Library) -> AnswerModel:
    from api.answering import open_answer_model

    return open_answer_model(library)


def _judging(library: Library, spec: str) -> VisionModel:
    from generation import open_vision_model

    return open_vision_model(spec, library.settings)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total} questions", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _show(done: Run, target: Path, as_json: bool, quiet: bool) -> None:
    from eval.tables import show

    if as_json:
        output.json_document(_summary(done, target))
    else:
        head, rows = done.table()
        output.table(head, [[show(cell) for cell in row] for row in rows])
        say(done.cost())
    for note in done.notes:
        say(note)
    if not quiet:
        say(f"written: {target}")


def _summary(done: Run, target: Path) -> dict[str, Any]:
    return {
        "run": str(target),
        "name": done.name,
        "dataset": done.dataset.model_dump(),
        "whole": done.retrieval("whole"),
        "inside": done.retrieval("inside"),
        "answers": done.answers(),
        "bytes_per_page": done.bytes_per_page,
        "ms": {stage: {"p50": p50, "p95": p95} for stage, (p50, p95) in done.milliseconds().items()},
        "notes": list(done.notes),
    }


@evaluation.command("compare")
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A run's file.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another run of the same questions.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs, how sure that is, and which questions flipped."""
    from eval import Run
    from eval import compare as compared

    found = compared(Run.load(before), Run.load(after))
    if as_json:
        output.json_document(_compared(found))
        return
    from eval.tables import show

    for note in found.notes:
        say(note)
    head, rows = found.table()
    output.table(head, [[show(cell) for cell in row] for row in rows])
    head, rows = found.flip_table()
    say(f"{len(rows)} questions flipped")
    if rows:
        output.table(head, [[show(cell) for cell in row] for row in rows])


def _compared(found: Comparison) -> dict[str, Any]:
    return {
        "before": found.before.name,
        "after": found.after.name,
        "notes": list(found.notes),
        "differences": [
            {
                "scope": row.scope,
                "measure": row.measure,
                "questions": row.questions,
                "before": row.before,
                "after": row.after,
                **row.sure._asdict(),
            }
            for row in found.differences
        ],
        "flips": [
            {
                "id": flip.after.id,
                "scope": flip.scope,
                "won": flip.won,
                "rank_before": flip.rank_before,
                "rank_after": flip.rank_after,
            }
            for flip in found.flips
        ],
    }


@evaluation.command("report")
def report(
    runs: RunFiles,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The HTML page; Markdown is put beside it.")
    ] = Path("evaluation.html"),
    collection: CollectionName = None,
    data_dir: DataDir = None,
    pages: Annotated[bool, typer.Option(help="Show the pages of questions that flipped.")] = True,
) -> None:
    """Write runs as one HTML page that needs nothing besides itself, and as Markdown."""
    from eval import Run, reports

    loaded = [Run.load(path) for path in runs]
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}")
    if pages and len(loaded) > 1:
        with open_library(data_dir) as library:
            written = reports.write(out, loaded, partial(_page, library, collection))
    else:
        written = reports.write(out, loaded)
    for path in written:
        output.text(str(path))


def _page(
    library: Library, collection: str | None, document: str, number: int, long_edge: int = 480
) -> NDArray[np.uint8]:
    from folioscope.domain import PageKey

    found = library.document(document, collection)
    return library.image(PageKey(found.id, found.version, number), long_edge)


@evaluation.command("unpack")
def unpack(
    dataset: DatasetSource,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the images go; made if need be.")],
) -> None:
    """Write the page images of a dataset in ViDoRe's layout as files, to be taken in with `folioscope ingest`."""
    from eval import formats

    source = formats.fetched(dataset.removeprefix("hub:")) if dataset.startswith("hub:") else Path(dataset)
    output.text(f"{formats.unpack(source, folder)} pages in {folder}")


@evaluation.command("make")
def make(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where proposals are put, beside those that it holds.")],
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="NUMBER", min=1, help="How many pages to ask about.")
    ] = 20,
    model: ModelName = None,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
) -> None:
    """Have a vision-language model propose questions about your documents; `eval accept` has you say which are good."""
    from api.cli.answering import open_reading_model
    from eval import proposals

    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}")
    rows = proposals.written(out)
    known = frozenset((row.get("document", ""), page) for row in rows for page in row["pages"] if isinstance(page, int))
    with open_library(data_dir, model=model) as library:
        asked = open_reading_model(library.settings, quiet)
        made = proposals.propose(library, asked, number, collection=collection, skip=known, failed=say)
        for count, row in enumerate(made, 1):
            rows.append(row)
            proposals.write(out, rows)  # one by one: what was paid for is kept
            if not quiet:
                say(f"{count}. {row['question']}")
    say(f"{out} has {sum(row.get('accepted', True) is None for row in rows)} proposals; `folioscope eval accept {out}`")


@evaluation.command("accept")
def accept(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Proposals that `eval make` wrote.")],
    collection: CollectionName = None,
    data_dir: DataDir = None,
    open_image: OpenImage = False,
) -> None:
    """Show each proposed question and ask whether it is good: y, n, or nothing to leave it for later; q stops."""
    from eval import proposals

    rows = proposals.written(path)
    waiting = [row for row in rows if row.get("accepted", True) is None]
    for place, row in enumerate(waiting, 1):
        output.text(f"{place}/{len(waiting)}  {row['document']}, page {row['pages'][0]}")
        output.text(f"  question  {row['question']}")
        output.text(f"  answer    {row['answer']}")
        output.text(f"  quote     {row['quote']} ({row['quote_status']})")
        if open_image:
            _open_page(row, collection, data_dir)
        reply = typer.prompt("  good? [y/n/q]", default="", show_default=False, err=True).strip().lower()
        if reply == "q":
            break
        if reply in ("y", "n"):
            row["accepted"] = reply == "y"
            proposals.write(path, rows)
    say(f"{sum(row.get('accepted', True) is True for row in rows)} accepted in {path}")


def _open_page(row: dict[str, Any], collection: str | None, data_dir: Path | None) -> None:
    from generation import save

    with open_library(data_dir) as library:
        target = library.folder / "last.png"
        save(_page(library, collection, row["document"], row["pages"][0], 1400), target)
    typer.launch(str(target))


@evaluation.command("tune")
def tune(
    dataset: DatasetSource,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Settings file for what holds.")] = Path(
        "tuned.toml"
    ),
    variant: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="NAME=VALUE",
            help="Take the documents in anew with this setting, such as ocr_languages=eng+deu; may be repeated.",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where --try builds; kept for a next time.")
    ] = None,
    collection: CollectionName = None,
    data_dir: DataDir = None,
) -> None:
    """Choose settings on your questions, cross-validated by document, and write down those whose gain holds.

    Fusion, weights and candidates where there are several channels; the extractive model's threshold where some
    questions are unanswerable; what --try names.
    """
    import eval as evaluating
    from eval import tuning

    questions = evaluating.load(dataset)
    variants = [_variant(text) for text in variant or ()]
    tuning.written(out)  # what can't be written to is said before the work
    found = []
    with open_library(data_dir, model="extractive") as library:
        active = [row for row in library.channel_status(collection) if row.entry.active and not row.problem]
        if len(active) > 1:
            found.append(tuning.tune_fusion(questions, library, collection=collection))
        if any(question.unanswerable for question in questions):
            answered = evaluating.run(questions, library, collection=collection, model=_answering(library))
            found.append(tuning.tune_threshold(answered, library.settings.extractive_threshold))
        if variants:
            place = folder or library.folder / "tuning"
            found.append(tuning.tune_rebuilt(questions, library, variants, place, collection=collection))
        if not found:
            say("nothing to tune: one channel, no unanswerable question, and no --try")
        for tuned in found:
            for line in tuned.lines():
                output.text(line)
        kept = tuning.write_settings(out, found)
    say(f"written: {out}" if kept else f"nothing holds: {out} was not written")


def _variant(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--try {text!r} is not NAME=VALUE")
    return {name.strip(): value}
