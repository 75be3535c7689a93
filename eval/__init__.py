"""Evaluation of retrieval, citations and answers on anyone's corpus.

``load("questions.jsonl")`` -> a dataset; ``run(dataset, library)`` -> a run; ``compare(one, other)`` -> what differs
and how sure that is. Every result shows itself in a notebook; ``show(found, library)`` -> pages with what was found.
"""

from __future__ import annotations

from eval.comparisons import Comparison, compare
from eval.datasets import Dataset, PageName, Question, TrueRegion, load
from eval.pictures import gallery, show
from eval.records import Run
from eval.runs import run

__all__ = [
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
]
