"""MaxSim against a plain triple loop, in every form that vectors come in."""

import itertools

import numpy as np
import pytest

from retrieval import maxsim
from retrieval.maxsim import Rows, max_sim, quantized, rows, unit, unpadded

DIM = 24


def draw(seed, *shape):
    return unit(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def plain(query, pages):
    scores = []
    for page in pages:
        total = 0.0
        for token in query:
            best = -float("inf")
            for vector in page:
                best = max(best, sum(float(a) * float(b) for a, b in zip(token, vector, strict=True)))
            total += best
        scores.append(total)
    return scores


QUERY = draw(0, 5, DIM)
PAGES = [draw(seed, length, DIM) for seed, length in enumerate([3, 1, 17, 8, 1, 30], 1)]
TRUTH = plain(QUERY, PAGES)


@pytest.fixture(params=[1, 16, 18, 31, 60, 1024])
def block(request, monkeypatch):
    monkeypatch.setattr(maxsim, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
def test_float32_as_the_plain_loop():
    assert max_sim(QUERY, rows(PAGES)) == pytest.approx(TRUTH, abs=1e-5)


@pytest.mark.usefixtures("block")
def test_float16_and_int8_within_their_rounding():
    half = rows([page.astype(np.float16) for page in PAGES])
    assert max_sim(QUERY, half) == pytest.approx(TRUTH, abs=5e-3)
    whole = rows(PAGES)
    values, scales = quantized(whole.vectors)
    scores = max_sim(QUERY, Rows(values, whole.offsets, scales))
    assert scores == pytest.approx(TRUTH, abs=0.05)
    exact = [values[a:b] * scales[a:b, None].astype(np.float32) for a, b in itertools.pairwise(whole.offsets)]
    assert scores == pytest.approx(plain(QUERY, exact), abs=1e-4)


def test_some_pages_in_any_order():
    pages = np.array([4, 0, 2, 2])
    assert max_sim(QUERY, rows(PAGES), pages) == pytest.approx([TRUTH[page] for page in pages], abs=1e-5)
    assert max_sim(QUERY, rows(PAGES), pages[:0]).shape == (0,)


def test_a_padded_vector_never_wins():
    against = [-page for page in (np.abs(draw(7, 4, DIM)), np.abs(draw(8, 2, DIM)))]
    query = np.abs(QUERY)  # all similarities are negative: a vector of zeros would win everywhere
    batch, mask = np.zeros((2, 6, DIM), np.float32), np.zeros((2, 6), bool)
    batch[0, :4], mask[0, :4] = against[0], True
    batch[1, 4:], mask[1, 4:] = against[1], True
    scores = max_sim(query, unpadded(batch, mask))
    assert (scores < 0).all()
    assert scores == pytest.approx(plain(query, against), abs=1e-5)


def test_no_pages_no_scores():
    assert max_sim(QUERY, Rows(np.zeros((0, DIM), np.float32), np.zeros(1, np.int64))).shape == (0,)


def test_what_has_no_maxsim_is_refused():
    with pytest.raises(ValueError, match="without vectors"):
        max_sim(QUERY, rows([PAGES[0], PAGES[0][:0], PAGES[1]]))
    with pytest.raises(ValueError, match="24 dimensions, the pages have 25"):
        max_sim(QUERY, rows([draw(1, 3, DIM + 1)]))


def test_rounding_is_at_most_half_a_scale():
    vectors = np.concatenate([draw(3, 200, 128), np.zeros((1, 128), np.float32)])
    values, scales = quantized(vectors)
    off = np.abs(values * scales[:, None].astype(np.float32) - vectors)
    # float16 may round a scale down by 2^-11 of itself: the largest value is then that much of 127 steps off.
    assert (off <= (0.5 + 127 * 2**-11) * scales[:, None].astype(np.float32)).all()
    assert values.min() >= -127


def test_as_colpali_engine_on_equal_lengths():
    pytest.importorskip("torch")
    from retrieval.encoders.torch_device import import_torch

    torch = import_torch()
    module = pytest.importorskip("colpali_engine.utils.processing_utils")
    pages = [draw(seed, 40, DIM) for seed in range(20)]
    score = module.BaseVisualRetrieverProcessor.score_multi_vector
    theirs = score([torch.from_numpy(QUERY)], [torch.from_numpy(page) for page in pages], device="cpu")[0]
    assert max_sim(QUERY, rows(pages)) == pytest.approx(theirs.numpy(), abs=1e-4)
