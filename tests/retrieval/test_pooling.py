"""Pooling: Ward's clusters as SciPy finds them, and few vectors that still find the page."""

import numpy as np
import pytest

from retrieval.maxsim import max_sim, rows, unit
from retrieval.pooling import pooled, ward


def motifs(seed, count=20, length=200, dim=32, noise=0.3):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count, dim))
    return unit(centres[rng.integers(0, count, length)] + noise * rng.standard_normal((length, dim)))


def partition(labels):
    members = {}
    for member, label in enumerate(labels):
        members.setdefault(label, set()).add(member)
    return sorted(map(sorted, members.values()))


def merged_one_by_one(vectors, count):
    """Ward's method as it is defined: always the pair that raises the squared distances to the means least."""
    clusters = [[number] for number in range(len(vectors))]

    def cost(one, other):
        gap = vectors[one].mean(axis=0, dtype=np.float64) - vectors[other].mean(axis=0, dtype=np.float64)
        return len(one) * len(other) / (len(one) + len(other)) * (gap @ gap)

    while len(clusters) > count:
        pairs = ((cost(a, b), i, j) for i, a in enumerate(clusters) for j, b in enumerate(clusters[:i]))
        _, i, j = min(pairs)
        clusters[j] += clusters.pop(i)
    return sorted(map(sorted, clusters))


@pytest.mark.parametrize("seed", range(3))
def test_the_clusters_are_wards(seed):
    vectors = motifs(seed, length=60)
    for count in (1, 7, 20, 59, 60):
        labels = ward(vectors, count)
        assert sorted(set(labels)) == list(range(count))
        assert partition(labels) == merged_one_by_one(vectors, count)


def test_as_scipy_at_the_size_of_a_page():
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    vectors = motifs(5, count=90, length=1030, dim=128)
    theirs = hierarchy.fcluster(hierarchy.linkage(vectors, "ward"), 64, "maxclust")
    assert partition(ward(vectors, 64)) == partition(theirs)


def test_few_vectors_stay_as_they_are():
    vectors = 3 * motifs(1, length=64)
    assert pooled(vectors) == pytest.approx(unit(vectors))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("noise", [0, 1e-7, 1e-5])
def test_equal_and_nearly_equal_vectors_are_pooled_as_quickly(noise):
    vectors = np.ones((1030, 128)) + noise * np.random.default_rng(0).random((1030, 128))
    few = pooled(vectors.astype(np.float32))
    assert few.shape == (64, 128)
    assert few == pytest.approx(np.full((64, 128), 128**-0.5), abs=1e-4)


def test_zeros_do_no_harm():
    vectors = np.concatenate([np.zeros((40, 32), np.float32), motifs(1)])
    assert np.isfinite(pooled(vectors)).all()


def test_pooled_vectors_find_the_page():
    rng = np.random.default_rng(9)
    pages = [motifs(seed, count=40, length=300) for seed in range(60)]
    few = rows([pooled(page) for page in pages])
    assert len(few.vectors) == 60 * 64
    found = 0
    for number, page in enumerate(pages):
        query = unit(page[rng.choice(300, 12)] + 0.3 * rng.standard_normal((12, 32)).astype(np.float32))
        found += int(max_sim(query, few).argmax()) == number
    assert found >= 58
