"""The formats that questions come in -> `Question`. Every problem names the file and the line."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from eval.datasets import Dataset, PageName, Question, TrueRegion, one_line
from folioscope.domain import Box
from folioscope.errors import EvaluationError

Row = Mapping[str, Any]
T = TypeVar("T")

LABELS = ("source_set", "domain", "language", "type", "kind")
"""Fields that figures can be broken down by."""

_STARTS = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp"}
_FORMATS = "docs/evaluation.md describes the formats."
_IDS = {"query": ("query-id", "query_id", "_id", "id"), "corpus": ("corpus-id", "corpus_id", "_id", "id")}


def read_file(path: Path) -> Dataset:
    """A file of JSON lines: our own format, exported feedback, or MMDocIR's annotations, told by its first row."""
    rows = list(json_lines(path))
    first = rows[0][1] if rows else {}
    if "doc_name" in first:
        return one_line(_mmdocir(rows), path.stem)
    if "relevance" in first:
        return _feedback(path, rows)
    if rows and "question" not in first:
        raise EvaluationError(
            f"{path} is of no format that is known: its rows have {', '.join(sorted(first))}.",
            hint=_FORMATS,
        )
    return _ours([path])


def read_folder(folder: Path, name: str) -> Dataset:
    """A folder with ``questions.jsonl`` (and ``unanswerable.jsonl``), or in MMDocIR's or BEIR's layout."""
    ours = [folder / part for part in ("questions.jsonl", "unanswerable.jsonl") if (folder / part).is_file()]
    if ours:
        return _ours(ours, name)
    for path in sorted(folder.rglob("MMDocIR_*.jsonl")):
        return one_line(_mmdocir(list(json_lines(path))), name)
    if _files(folder, "qrels") and _files(folder, "queries"):
        return _beir(folder, name)
    raise EvaluationError(
        f"{folder} holds no dataset of a known format.",
        hint="Wanted: questions.jsonl, MMDocIR_annotations.jsonl, or queries and qrels (.parquet, .jsonl, .tsv).",
    )


def fetched(spec: str) -> Path:
    """A dataset of the hub as a folder here: ``ORG/NAME`` or ``ORG/NAME@REVISION``; only files that are data are taken.

    Raises `EvaluationError` where the hub or the dataset can't be reached.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = spec.partition("@")
    patterns = ["*.parquet", "*.jsonl", "*.tsv"]
    try:
        return Path(
            snapshot_download(repository, repo_type="dataset", revision=revision or None, allow_patterns=patterns)
        )
    except Exception as error:  # the hub's client raises those of half a dozen libraries
        raise EvaluationError(
            f"The dataset {repository} could not be fetched: {(str(error) or type(error).__name__).splitlines()[0]}",
            hint="Check its name and the network, or download it and name the folder.",
        ) from error


def page_images(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The pages of a corpus in ViDoRe's layout: id and the image's file as it is stored. Raises `EvaluationError`."""
    for path in _files(folder, "corpus"):
        for row in _rows(path, ("image",)):
            image = row.get("image")
            data = image.get("bytes") if isinstance(image, Mapping) else image
            if not isinstance(data, bytes):
                raise EvaluationError(f"{path} has rows without an image.", hint="Only images are pages.")
            yield _id(row, "corpus", str(path)), data


def unpack(source: Path, folder: Path) -> int:
    """Write `page_images` as files named by their ids; returns how many. Raises `EvaluationError`: none is there, an id
    that is no file's name, a file that is no PNG, JPEG or WebP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, data in page_images(source):
        ending = next((ending for start, ending in _STARTS.items() if data.startswith(start)), "")
        if not ending or Path(name).name != name:
            raise EvaluationError(f"The page {name!r} of {source} can't be written.", hint="Wanted: PNG, JPEG or WebP.")
        (folder / f"{name}{ending}").write_bytes(data)
        count += 1
    if not count:
        raise EvaluationError(f"{source} has no corpus of page images.", hint="Wanted: corpus as Parquet.")
    return count


# --- ours -----------------------------------------------------------------------------------------------------------


def _ours(paths: Sequence[Path], name: str = "") -> Dataset:
    questions, open_proposals = [], 0
    for path in paths:
        for place, row in json_lines(path):
            if row.get("accepted", True):
                questions.append(_understood(place, _question, row))
            else:
                open_proposals += 1
    notes = [f"{open_proposals} proposed questions are not accepted and were left out."] if open_proposals else []
    return one_line(questions, name or paths[0].stem, notes)


def _question(row: Row) -> Question:
    document = row.get("document")
    pages = dict(_graded(entry, document) for entry in row["pages"])
    labels = row.get("labels") or {name: value for name in LABELS if isinstance(value := row.get(name), str)}
    return Question(
        id=str(row["id"]),
        text=_text(row["question"]),
        pages=pages,
        document=document,
        answers=tuple(map(normal_answer, row.get("answers") or ([row["answer"]] if row.get("answer") else []))),
        regions=tuple(_region(entry, document) for entry in row.get("regions") or ()),
        unanswerable=bool(row.get("unanswerable", not pages)),
        labels=labels,
    )


def _graded(entry: Any, document: str | None) -> tuple[PageName, int]:
    """``5``, ``["report.pdf", 5]`` or ``["report.pdf", 5, 2]``."""
    name, page, grade = (document, entry, 1) if isinstance(entry, int) else (*entry, 1)[:3]
    if not name:
        raise ValueError(f"page {page} is of no document")
    if int(page) < 1 or int(grade) < 1:
        raise ValueError(f"page {page} with grade {grade}: both count from 1")
    return PageName(str(name), int(page)), int(grade)


def _region(entry: Row, document: str | None) -> TrueRegion:
    """``box`` as everywhere here, or ``bbox`` in the units of ``page_size``."""
    width, height = entry.get("page_size", (1, 1))
    x0, y0, x1, y1 = entry["box"] if "box" in entry else entry["bbox"]
    box = Box(*(min(max(value, 0.0), 1.0) for value in (x0 / width, y0 / height, x1 / width, y1 / height)))
    if box.x0 > box.x1 or box.y0 > box.y1:
        raise ValueError(f"{list(entry.get('box') or entry['bbox'])} is no box")
    return TrueRegion(_graded([entry.get("document") or document, entry["page"]], None)[0], box)


def normal_answer(answer: Any) -> str:
    """A list, also one that is written as Python writes it, becomes parts with " | " between them."""
    text = str(answer).strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            answer = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
    return " | ".join(str(part).strip() for part in answer) if isinstance(answer, list) else text


# --- feedback of the service ----------------------------------------------------------------------------------------


def _feedback(path: Path, rows: Sequence[tuple[str, Row]]) -> Dataset:
    """Votes on pages: one that most found relevant is; a question none of whose pages is, is left out."""
    votes: dict[str, dict[PageName, list[float]]] = {}
    for place, row in rows:
        question, page, vote = _understood(place, _vote, row)
        votes.setdefault(question, {}).setdefault(page, []).append(vote)
    questions, none = [], 0
    for text, pages in votes.items():
        relevant = {page: grade for page, given in pages.items() if (grade := _agreed(given))}
        none += not relevant
        if relevant:
            named = {page.document for page in relevant}
            about = named.pop() if len(named) == 1 else None
            questions.append(Question(hashlib.sha256(text.encode()).hexdigest()[:16], text, relevant, about))
    notes = [f"{none} questions have no page that most found relevant and were left out."] if none else []
    if not questions:
        raise EvaluationError(f"No question of {path.stem} has a relevant page.", hint=" ".join(notes))
    return one_line(questions, path.stem, notes)


def _vote(row: Row) -> tuple[str, PageName, float]:
    page = _graded([row["document"], row["page"]], None)[0]
    return _text(row["question"]), page, float(row["relevance"])


def _agreed(given: Sequence[float]) -> int:
    """0 unless most call the page relevant, else the grade, the mean of theirs."""
    good = [relevance for relevance in given if relevance > 0]
    return max(1, round(sum(good) / len(good))) if 2 * len(good) > len(given) else 0


# --- MMDocIR --------------------------------------------------------------------------------------------------------


def _mmdocir(rows: Sequence[tuple[str, Row]]) -> list[Question]:
    """https://github.com/MMDocRAG/MMDocIR: one row a document; its pages count from 0."""
    questions = []
    for place, row in rows:
        asked = _understood(place, lambda row: [dict(entry) for entry in row["questions"]], row)
        for number, entry in enumerate(asked):
            named = {**entry, "document": row["doc_name"], "domain": row.get("domain"), "number": number}
            questions.append(_understood(place, _mmdocir_question, named))
    return questions


def _mmdocir_question(row: Row) -> Question:
    document = _text(row["document"])
    pages = {PageName(document, int(page) + 1): 1 for page in row["page_id"]}
    regions = [_region({**part, "page": int(part["page"]) + 1}, document) for part in row.get("layout_mapping") or ()]
    answer = normal_answer(row.get("A") or "")
    return Question(
        id=f"{Path(document).stem}-{row['number']:02}",
        text=_text(row["Q"]),
        pages=pages,
        document=document,
        answers=(answer,) if answer else (),
        regions=tuple(regions),
        unanswerable=not pages,
        labels={name: str(row[name]) for name in ("domain", "type") if row.get(name)},
    )


# --- BEIR, ViDoRe ---------------------------------------------------------------------------------------------------


def _beir(folder: Path, name: str) -> Dataset:
    """Queries and qrels; each page of the corpus is a document of one page, named by its id."""
    pages: dict[str, dict[PageName, int]] = {}
    for path in _files(folder, "qrels"):
        for row in _rows(path):
            if (grade := _understood(str(path), lambda row: int(float(row["score"])), row)) > 0:
                pages.setdefault(_id(row, "query", str(path)), {})[PageName(_id(row, "corpus", str(path)), 1)] = grade
    if not pages:
        raise EvaluationError(f"The qrels of {name} are empty.", hint=f"Look into {_files(folder, 'qrels')[0]}.")
    questions, without = [], 0
    for path in _files(folder, "queries"):
        for row in _rows(path):
            named = {**row, "id": _id(row, "query", str(path))}
            relevant = pages.get(named["id"], {})
            without += not relevant
            if relevant:
                questions.append(_understood(str(path), _beir_question, named, relevant))
    notes = [f"{without} queries have no relevant page and were left out."] if without else []
    return one_line(questions, name, notes)


def _beir_question(row: Row, pages: Mapping[PageName, int]) -> Question:
    answer = row.get("answer")
    labels = {key: value for key in ("language", "query_types", "source") if isinstance(value := row.get(key), str)}
    return Question(
        id=row["id"],
        text=_text(row.get("query") or row["text"]),
        pages=pages,
        answers=(normal_answer(answer),) if answer else (),
        labels=labels,
    )


def _files(folder: Path, part: str) -> list[Path]:
    """``qrels.jsonl``, ``qrels/test.tsv``, ``qrels/test-00000-of-00001.parquet``, ``data/qrels-….parquet``."""
    found = [path for path in folder.rglob("*") if path.suffix in (".parquet", ".jsonl", ".tsv")]
    named = [path for path in found if path.name.startswith(part) or path.parent.name == part]
    test = [path for path in named if path.stem.startswith("test")]
    return sorted(test or named)


def _rows(path: Path, also: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of one file; of Parquet, images are read only where they are asked for."""
    if path.suffix == ".jsonl":
        yield from (row for _, row in json_lines(path))
    elif path.suffix == ".tsv":
        yield from csv.DictReader(io.StringIO(_text_of(path)), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        opened = _parquet(path)
        columns = [name for name in opened.schema_arrow.names if name != "image" or name in also]
        for batch in opened.iter_batches(batch_size=64, columns=columns):
            yield from batch.to_pylist()


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise EvaluationError(
            f"{path} is Parquet, which needs pyarrow.", hint="Install it: pip install 'folioscope[eval]'."
        ) from None
    try:
        return ParquetFile(path)
    except ArrowInvalid as error:
        raise EvaluationError(f"{path} is no Parquet: {error}", hint="Download it again.") from None


def _id(row: Row, kind: str, place: str) -> str:
    for name in _IDS[kind]:
        if row.get(name) is not None:
            return str(row[name])
    raise EvaluationError(f"{place} has rows without {_IDS[kind][0]}.", hint=f"They have {', '.join(row)}.")


# --- reading --------------------------------------------------------------------------------------------------------


def json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """Where each row stands, and the row. Raises `EvaluationError` at the first line that is no JSON object."""
    for number, line in enumerate(_text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise EvaluationError(f"{place} is no JSON: {error}.", hint="Each line is one JSON object.") from None
        if not isinstance(row, dict):
            raise EvaluationError(f"{place} is no JSON object.", hint="Each line is one JSON object.")
        yield place, row


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} can't be read as UTF-8 text: {error}.", hint="Is it the right file?") from None


def _understood(place: str, read: Callable[..., T], *row: Any) -> T:
    """What ``read`` makes of a row, or where and why it can't."""
    try:
        return read(*row)
    except KeyError as error:
        raise EvaluationError(f"{place} has no field {error}.", hint=_FORMATS) from None
    except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise EvaluationError(f"{place} can't be understood: {error}.", hint=_FORMATS) from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} where a text is wanted")
    return value.strip()
