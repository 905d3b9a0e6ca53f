from __future__ import annotations

import pytest
import torch

from histofed.errors import StoreError
from histofed.io.queue import RECORDS, WorkQueue
from histofed.io.store import FeatureStore
from histofed.mil import memory
from histofed.mil.bags import BagDataset, collate, load_bags


def test_the_slides_of_a_patient_are_one_bag(tmp_path, write, cohort):
    for slide, n_tiles, start in (("a1", 3, 0), ("b", 2, 10), ("a2", 4, 20)):
        write(tmp_path, slide, n_tiles, start=start)
    patients = cohort([("a2", "A"), ("b", "B"), ("a1", "A")], {"A": 1, "B": 0})
    bags = load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)
    assert list(bags) == ["A", "B"]
    both = bags["A"]
    assert (both.label, both.site) == ((1.0,), "north")
    assert both.tiles_of == {"a2": slice(0, 4), "a1": slice(4, 7)}  # in the order of the table
    assert both.features_ND.dtype == torch.float16
    assert both.features_ND[:, 0].tolist() == [20, 21, 22, 23, 0, 1, 2]
    assert both.coords_N2[:, 0].tolist() == [20, 21, 22, 23, 0, 1, 2]
    assert bags["B"].features_ND.shape == (2, 4)


def test_features_larger_than_memory_give_the_same_bags(tmp_path, write, cohort, monkeypatch):
    for slide, n_tiles in (("a1", 3), ("b", 2), ("a2", 4)):
        write(tmp_path / "features", slide, n_tiles)
    patients = cohort([("a2", "A"), ("b", "B"), ("a1", "A")], {"A": 1, "B": 0})
    store = FeatureStore(tmp_path / "features")
    held = load_bags(patients, store, scratch=tmp_path / "work")
    assert not (tmp_path / "work").exists()
    monkeypatch.setattr(memory, "SHARE_OF_MEMORY", 0.0)
    mapped = load_bags(patients, store, scratch=tmp_path / "work")
    assert (tmp_path / "work").is_dir()
    for patient, bag in held.items():
        assert torch.equal(mapped[patient].features_ND, bag.features_ND)
        assert mapped[patient].tiles_of == bag.tiles_of


def test_patients_without_features_are_named(tmp_path, write, cohort):
    write(tmp_path, "a", 3)
    patients = cohort([("a", "A"), ("b", "Berta"), ("c", "Carl")], {"A": 0, "Berta": 1, "Carl": 1})
    with pytest.raises(StoreError, match=r"2 of 3 slides.*Berta \(b\), Carl \(c\).*extract"):
        load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)


def test_slides_without_tissue_are_named_with_what_helps(tmp_path, write, cohort):
    write(tmp_path, "a", 3)
    with WorkQueue(tmp_path / RECORDS).claim("b", "key", history=[]) as claim:
        claim.finish("empty", error="NoTissue", message="glass")
    patients = cohort([("a", "A"), ("b", "Berta"), ("c", "Carl")], {"A": 0, "Berta": 1, "Carl": 1})
    with pytest.raises(StoreError, match=r"1 of 3 slides hold no tissue.*: Berta \(b\); take") as e:
        load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)
    assert "Carl" not in str(e.value)  # other news, once this is settled
    write(tmp_path, "b", 2)  # since then, with other options
    with pytest.raises(StoreError, match=r"1 of 3 slides have no features.*Carl \(c\)"):
        load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)


def test_long_lists_of_patients_are_cut(tmp_path, cohort):
    names = [f"p{number:02}" for number in range(11)]
    patients = cohort([(name, name) for name in names], dict.fromkeys(names, 0))
    with pytest.raises(StoreError, match="and 3 more"):
        load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)


def test_two_recipes_in_one_cohort_are_refused(tmp_path, write, cohort):
    write(tmp_path, "a", 3)
    write(tmp_path, "b", 3, encoder="other")
    patients = cohort([("a", "A"), ("b", "B")], {"A": 0, "B": 1})
    with pytest.raises(StoreError, match=r"slides a and b .* one recipe"):
        load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)


def test_bags_without_positions(tmp_path, write, cohort):
    write(tmp_path, "a", 3, placed=False)
    bags = load_bags(cohort([("a", "A")], {"A": 1}), FeatureStore(tmp_path), scratch=tmp_path)
    assert bags["A"].coords_N2 is None
    assert collate([bags["A"]]).coords_BN2 is None


def test_a_draw_of_tiles_has_no_tile_twice(bag):
    whole = bag("A", 50)
    torch.manual_seed(0)
    dataset = BagDataset([whole], tiles_per_bag=20)
    draws = [dataset[0] for _ in range(5)]
    batches = [collate([draw]) for draw in draws]
    for batch in batches:
        drawn = batch.coords_BN2[0, :, 0].tolist()
        assert len(drawn) == len(set(drawn)) == 20
        rows = batch.coords_BN2[0, :, 0] // 2
        assert torch.equal(batch.features_BND[0], whole.features_ND[rows])
        assert batch.valid_BN.all()
    assert len({tuple(sorted(batch.coords_BN2[0, :, 0].tolist())) for batch in batches}) == 5
    seen = {tile for batch in batches for tile in batch.coords_BN2[0, :, 0].tolist()}
    assert len(seen) > 40  # not always the same corner of the slide


@pytest.mark.parametrize("most", [None, 7, 8])
def test_a_small_bag_is_taken_whole(bag, most):
    whole = bag("A", 7)
    assert BagDataset([whole], tiles_per_bag=most)[0] is whole


def test_collate_pads_and_marks_the_padding(bag):
    bags = [bag("A", 2, label=1), bag("B", 5), bag("C", 1, label=1)]
    batch = collate(bags)
    assert batch.features_BND.dtype == torch.float16
    assert batch.features_BND.shape == (3, 5, 4)
    assert batch.valid_BN.sum(dim=1).tolist() == [2, 5, 1]
    assert batch.valid_BN[0].tolist() == [True, True, False, False, False]
    assert batch.target_BK.tolist() == [[1], [0], [1]]
    assert batch.target_BK.dtype == torch.float32
    assert batch.ids == ("A", "B", "C")
    for row, one in enumerate(bags):
        n_tiles = len(one.features_ND)
        assert torch.equal(batch.features_BND[row, :n_tiles], one.features_ND)
        assert torch.equal(batch.coords_BN2[row, :n_tiles], one.coords_N2)
    assert not batch.features_BND[~batch.valid_BN].any()


def test_a_batch_moves_as_one(bag):
    batch = collate([bag("A", 2), bag("B", 3)]).to("meta")
    tensors = (batch.features_BND, batch.coords_BN2, batch.valid_BN, batch.target_BK)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.ids == ("A", "B")


def test_tiles_know_their_cell(tmp_path, write, cohort):
    """Tiles of 16 level-0 pixels a side; the grid of a slide begins at its first tile."""
    write(tmp_path, "a", 40, start=100)
    write(tmp_path, "b", 2)
    patients = cohort([("a", "A"), ("b", "A")], {"A": 1})
    bag = load_bags(patients, FeatureStore(tmp_path), scratch=tmp_path)["A"]
    expected = [[0, round(pixels / 16), 0] for pixels in range(40)] + [[1, 0, 0]] * 2
    assert bag.cells_N3.tolist() == expected
    batch = collate([bag, BagDataset([bag], tiles_per_bag=5)[0]])
    assert batch.cells_BN3[0].tolist() == expected
    assert all(cell in expected for cell in batch.cells_BN3[1, :5].tolist())
    assert batch.to("cpu").cells_BN3 is not None


def test_without_positions_there_are_no_cells(tmp_path, write, cohort):
    write(tmp_path, "a", 3, placed=False)
    bag = load_bags(cohort([("a", "A")], {"A": 1}), FeatureStore(tmp_path), scratch=tmp_path)["A"]
    assert bag.cells_N3 is None
    assert collate([bag]).cells_BN3 is None
