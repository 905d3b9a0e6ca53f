from __future__ import annotations

from histofed.federation.history import RoundRecord, rows


def test_rows_have_one_shape_whatever_the_sites_report():
    history = [
        RoundRecord(
            number=1,
            total=1,
            metrics={"b": {"train_loss": 0.5}, "a": {"auc": 0.7}},
            n_patients={"a": 3, "b": 4},
            refused={"c": "n_patients"},
            absent={"d": "late"},
        ),
        RoundRecord(number=2, total=1, metrics={"a": {"auc": 0.8}}, n_patients={"a": 3}),
    ]
    table = rows(history)
    assert [(row["round"], row["model"], row["site"]) for row in table] == [
        (1, 0, "a"),
        (1, 0, "b"),
        (1, 0, "c"),
        (1, 0, "d"),
        (2, 1, "a"),
    ]
    assert {tuple(row) for row in table} == {
        ("round", "model", "site", "n_patients", "refused", "absent", "auc", "train_loss")
    }
    assert table[2]["refused"] == "n_patients"
    assert table[2]["n_patients"] is None
    assert table[3]["absent"] == "late"
    assert table[4]["auc"] == 0.8
    assert [record.final for record in history] == [False, True]
