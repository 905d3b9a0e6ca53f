"""Coverage of sets, and patients unlike those trained on."""

from __future__ import annotations

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.binary import BinaryMeasures
from histofed.core.evaluation.multiclass import MulticlassMeasures
from histofed.core.evaluation.rows import Rows
from histofed.core.evaluation.trust import trust
from histofed.core.types import Prediction

HOW = Resampling(100, 0)


def predictions(labels, sets, *, ood=None, outputs=None):
    return [
        Prediction(
            patient_id=f"p{i}",
            site="AB"[i % 2],
            fold=0,
            label=(float(label),),
            outputs=outputs or (0.3 + 0.1 * i,),
            possible=possible,
            ood=None if ood is None else ood[i],
        )
        for i, (label, possible) in enumerate(zip(labels, sets, strict=True))
    ]


def test_coverage_is_counted_for_all_and_for_each_site():
    found = predictions([0, 1, 1, 0], [(0,), (0,), (0, 1), ()])
    coverage = trust(BinaryMeasures(), Rows.of(found), found, HOW).coverage
    assert [(c.group, c.n_patients, c.covered.value, c.mean_size) for c in coverage] == [
        ("all", 4, 0.5, 1.0),
        ("A", 2, 1.0, 1.5),
        ("B", 2, 0.0, 0.5),
    ]


def test_classes_of_a_set_are_those_of_the_task():
    outputs = (0.2, 0.3, 0.5)
    found = predictions([2, 1, 0], [(1, 2), (2,), None], outputs=outputs)
    measures = MulticlassMeasures(("a", "b", "c"))
    coverage = trust(measures, Rows.of(found), found, HOW).coverage
    assert (coverage[0].n_patients, coverage[0].covered.value) == (2, 0.5)
    without = predictions([0, 1], [None, None])
    assert trust(BinaryMeasures(), Rows.of(without), without, HOW).coverage == ()


def test_unusual_patients_have_their_own_numbers():
    found = predictions([0, 1] * 4, [None] * 8, ood=[99.0, 99.5, 98.9, 0.0, 1.0, 2.0, None, None])
    unlike = trust(BinaryMeasures(), Rows.of(found), found, HOW).unlike
    counts = {kind: result.counts["n_patients"] for kind, result in unlike.items()}
    assert counts == {"look twice": 2, "like those trained on": 4, "not known": 2}
    assert unlike["look twice"].numbers["auroc"].value == 1.0
