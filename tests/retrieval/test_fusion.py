"""Fusion: both methods against figures worked out by hand, ties, partial coverage."""

import pytest

from folioscope.domain import PageKey, ScoredPage
from retrieval.fusion import fuse, min_max, reciprocal_rank


def ranking(*scored):
    return [ScoredPage(PageKey("doc", 1, number), score) for number, score in scored]


def numbers(fused):
    return [key.number for key, _ in fused]


def both(lexical, semantic, method="normalized", coverage=1.0, weights=(1.0, 1.0)):
    return fuse(
        {"lexical": lexical, "semantic": semantic},
        method=method,
        weights={"lexical": weights[0], "semantic": weights[1]},
        coverage={"lexical": 1.0, "semantic": coverage},
    )


LEXICAL = ranking((1, 20.0), (2, 15.0), (3, 10.0))
SEMANTIC = ranking((2, 0.8), (4, 0.7), (1, 0.6))


def test_min_max():
    assert list(min_max(LEXICAL).values()) == [1.0, 0.5, 0.0]
    assert list(min_max(ranking((1, 3.0), (2, 3.0))).values()) == [1.0, 1.0]


def test_reciprocal_rank():
    assert list(reciprocal_rank(LEXICAL).values()) == pytest.approx([1.0, 6 / 7, 6 / 8])


def test_normalized_scores():
    assert dict(both(LEXICAL, SEMANTIC)) == pytest.approx(
        {PageKey("doc", 1, 2): 0.75, PageKey("doc", 1, 1): 0.5, PageKey("doc", 1, 4): 0.25, PageKey("doc", 1, 3): 0.0}
    )
    assert numbers(both(LEXICAL, SEMANTIC)) == [2, 1, 4, 3]


def test_ranks():
    fused = both(LEXICAL, SEMANTIC, "rrf")
    assert numbers(fused) == [2, 1, 4, 3]
    assert fused[0][1] == pytest.approx((6 / 7 + 1) / 2)


def test_weights():
    assert numbers(both(LEXICAL, SEMANTIC, weights=(10.0, 1.0)))[0] == 1
    assert numbers(both(LEXICAL, SEMANTIC, weights=(1.0, 10.0)))[0] == 2


@pytest.mark.parametrize("method", ["normalized", "rrf"])
def test_one_channel_keeps_its_order(method):
    assert numbers(both(LEXICAL, [], method)) == [1, 2, 3]
    assert both(LEXICAL, [], method)[0][1] == 1.0
    assert both([], [], method) == []
    assert fuse({"lexical": LEXICAL}, method=method, weights={"lexical": 1.0}, coverage={"lexical": 0.0})[0][1] == 1.0


@pytest.mark.parametrize("method", ["normalized", "rrf"])
def test_scores_lie_between_0_and_1(method):
    assert all(0 <= score <= 1 for share in (0.0, 0.3, 1.0) for _, score in both(LEXICAL, SEMANTIC, method, share))


def test_ties_go_by_document_and_number():
    tied = [ScoredPage(PageKey(document, 1, number), 1.0) for document in "cab" for number in (2, 1)]
    expected = [(document, number) for document in "abc" for number in (1, 2)]
    assert [(key.document_id, key.number) for key, _ in both(tied, [])] == expected
    assert [(key.document_id, key.number) for key, _ in both(tied[::-1], [])] == expected


@pytest.mark.parametrize("method", ["normalized", "rrf"])
def test_a_channel_that_knows_few_pages_does_not_push_the_others_out(method):
    """Page 1 is best by words and unknown to the semantic channel, which lists all it has: pages 11 to 13."""
    lexical = ranking((1, 20.0), (2, 18.0), (11, 12.0), (12, 11.0), (3, 10.0))
    semantic = ranking((11, 0.5), (12, 0.4), (13, 0.1))
    assert numbers(both(lexical, semantic, method, coverage=1.0))[0] == 11
    assert numbers(both(lexical, semantic, method, coverage=0.05))[0] == 1


def test_a_channel_to_which_its_pages_are_much_the_same_decides_less():
    """Lengths worked out by hand: lexical 1, semantic 2, so that their bests count 2/3 and 1/3."""
    lexical = ranking((1, 9.0), (2, 1.0))
    semantic = ranking((3, 0.9), (4, 0.9), (5, 0.9), (6, 0.9), (7, 0.1))
    fused = both(lexical, semantic)
    assert fused[0] == (PageKey("doc", 1, 1), pytest.approx(2 / 3))
    assert fused[1] == (PageKey("doc", 1, 3), pytest.approx(1 / 3))
