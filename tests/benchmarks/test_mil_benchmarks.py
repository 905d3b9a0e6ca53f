"""The benchmarks of reasoning and of training run, at sizes that say little else."""

from __future__ import annotations


def test_a_mean_reads_poison_as_negative(load):
    alike, test = load("mil_reasoning").measure(("mean_pool", "single_concept", 300, 20, 0))
    assert alike > 0.95
    assert test < 0.05


def test_both_sides_train_and_are_tested(load):
    benchmark = load("mil_training")
    size = benchmark.Size(n_train=8, n_test=8, n_tiles=60, dim=16, epochs=3)
    found = benchmark.measure(size)
    assert [row["side"] for row in found["rows"]] == ["by hand", "ours", "ours, all tiles"]
    assert all(0 <= row["test_auroc"] <= 1 for row in found["rows"])
    assert found["figures"].keys() == {
        "vs_plain_loop",
        "vs_plain_loop_all_tiles",
        "result_difference",
        "peak_mb_per_epoch_growth",
    }
