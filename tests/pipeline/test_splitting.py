"""Options of folds: dealt, whole sites, or a file; what cannot be learned stops by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from histofed.core.cohort import Cohort
from histofed.core.leakage import Fingerprint
from histofed.core.splits import rotate
from histofed.core.tasks import BinaryTask, MultilabelTask, RegressionTask, SurvivalTask
from histofed.core.types import Slide
from histofed.errors import CohortError, ConfigError
from histofed.io.splits import write_splits
from histofed.pipeline.schema_parts import SplitsConfig
from histofed.pipeline.splitting import check_twins, folds_of

NAN = math.nan
BINARY = BinaryTask(name="b", column="b")
PANEL = MultilabelTask(name="panel", questions=("egfr", "kras"))
NUMBERS = RegressionTask(name="numbers", quantities=("cd3e",))
OS = SurvivalTask(name="os", column="t", event_column="e", times=(12,))


def cohort_of(*labels: tuple[float, ...], sites: str = "abcdef") -> Cohort:
    """Return patients p00, p01, ... with these labels, at the sites in turn."""
    names = [f"p{number:02}" for number in range(len(labels))]
    return Cohort(
        name="toy",
        slides=tuple(
            Slide(slide_id=name, patient_id=name, site=sites[number % len(sites)])
            for number, name in enumerate(names)
        ),
        labels=dict(zip(names, labels, strict=True)),
    )


def split(scheme: str = "patients", *, n_folds: int = 3, file: str | None = None) -> SplitsConfig:
    return SplitsConfig(scheme=scheme, n_folds=n_folds, seed=0, file=file)


HALF = cohort_of(*[(float(number // 6 % 2),) for number in range(24)])


def test_patients_are_dealt_by_class_and_site():
    folds = folds_of(split(), HALF, BINARY)
    assert [fold.number for fold in folds] == [0, 1, 2]
    for fold in folds:
        assert [HALF.labels[patient] for patient in fold.test].count((1,)) == 4


def test_whole_sites_are_on_one_side():
    for fold in folds_of(split("sites"), HALF, BINARY):
        sites = [
            {HALF.site_of[patient] for patient in role}
            for role in (fold.train, fold.select, fold.test)
        ]
        assert sum(len(each) for each in sites) == 6
        assert set.union(*sites) == set(HALF.sites)


def test_a_file_is_taken_as_it_is(tmp_path):
    names = HALF.patients
    folds = rotate({name: number // 8 for number, name in enumerate(names)})
    write_splits(tmp_path / "splits.csv", folds)
    cohort = cohort_of(*[(float(number % 2),) for number in range(24)])
    assert folds_of(split("file", file=str(tmp_path / "splits.csv")), cohort, BINARY) == folds


@pytest.mark.parametrize(("scheme", "file"), [("file", None), ("patients", "x.csv")])
def test_a_file_and_its_scheme_go_together(scheme, file):
    with pytest.raises(ConfigError, match=rf"splits\.scheme={scheme} with splits\.file={file}"):
        folds_of(split(scheme, file=file), HALF, BINARY)


def test_a_file_of_another_cohort_is_refused(tmp_path):
    write_splits(tmp_path / "s.csv", rotate({f"q{n}": n % 3 for n in range(9)}))
    with pytest.raises(CohortError, match="q0, q1"):
        folds_of(split("file", file=str(tmp_path / "s.csv")), HALF, BINARY)


@pytest.mark.parametrize("task", [BINARY, NUMBERS])
def test_a_role_of_nobody_is_refused_whatever_is_asked(tmp_path, task):
    rows = [
        f"{name},0,{'test' if number < 12 else 'train'}\n"
        for number, name in enumerate(HALF.patients)
    ]
    (tmp_path / "s.csv").write_text("patient_id,fold,role\n" + "".join(rows), encoding="utf-8")
    with pytest.raises(CohortError, match="fold 0: nobody has the role select"):
        folds_of(split("file", file=str(tmp_path / "s.csv")), HALF, task)


@pytest.mark.parametrize(
    ("task", "labels", "lack"),
    [
        (BINARY, [(1.0,)] * 9, "negative"),
        (OS, [(float(n + 1), 0.0) for n in range(9)], "an event"),
        (PANEL, [(n % 2, NAN) for n in range(9)], "a yes of kras, a no of kras"),
        (PANEL, [(n % 2, 0.0) for n in range(9)], "a yes of kras"),
        (NUMBERS, [(3.5,)] * 9, "two different values of cd3e"),
    ],
)
def test_what_nobody_can_teach_stops_with_the_patients(task, labels, lack):
    with pytest.raises(CohortError) as caught:
        folds_of(split(), cohort_of(*labels), task)
    said = str(caught.value)
    assert f"cohort toy: 9 patients (p00, p01, p02, p03, p04 and 4 more) lack {lack}, " in said
    assert f"task {task.name}" in said


def test_a_fold_whose_training_lacks_an_answer_stops_by_name(tmp_path):
    """The one patient with KRAS is tested in fold 0, so nobody can teach it there."""
    cohort = cohort_of(*[(n % 2, float(n == 0)) for n in range(9)])
    write_splits(
        tmp_path / "s.csv", rotate({name: n % 3 for n, name in enumerate(cohort.patients)})
    )
    with pytest.raises(
        CohortError, match=r"fold 0, training: 3 patients \(p02, p05, p08\) lack a yes of kras"
    ):
        folds_of(split("file", file=str(tmp_path / "s.csv")), cohort, PANEL)


def test_events_in_too_few_sites_for_folds_of_sites():
    cohort = cohort_of(*[(n + 1.0, float(n % 6 == 0)) for n in range(24)])
    with pytest.raises(CohortError, match=r"class 1 are at 1 site \(a\)"):
        folds_of(split("sites"), cohort, OS)


def test_one_glass_of_two_patients_stops_by_name():
    folds = folds_of(split(), HALF, BINARY)
    random = np.random.default_rng(0)
    slides = [
        Fingerprint(
            slide_id=f"s-{name}", patient_id=name, digest=name, mean_D=random.normal(size=8)
        )
        for name in HALF.patients
    ]
    check_twins(folds, slides)
    one, other = folds[0].train[0], folds[0].test[0]
    index = HALF.patients.index(other)
    twin = Fingerprint(
        slide_id="copy",
        patient_id=other,
        digest=one,
        mean_D=slides[HALF.patients.index(one)].mean_D,
    )
    with pytest.raises(CohortError) as caught:
        check_twins(folds, [*slides[:index], twin, *slides[index + 1 :]])
    for word in (one, other, "copy", f"s-{one}"):
        assert word in str(caught.value)


def test_hospitals_that_train_together_pick_on_patients_of_their_own():
    alone = folds_of(split("sites", n_folds=6), HALF, BINARY)
    for fold, other in zip(
        folds_of(split("sites", n_folds=6), HALF, BINARY, federated=True), alone, strict=True
    ):
        assert (fold.number, fold.test) == (other.number, other.test)
        training = {HALF.site_of[patient] for patient in fold.train}
        assert training == set(HALF.sites) - {HALF.site_of[patient] for patient in fold.test}
        assert {HALF.site_of[patient] for patient in fold.select} <= training
        assert {HALF.labels[patient] for patient in fold.select} == {(0.0,), (1.0,)}
    # Folds that do not divide hospitals are those of any training.
    assert folds_of(split(), HALF, BINARY, federated=True) == folds_of(split(), HALF, BINARY)
