from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import FileDamaged, StoreError
from histofed.io.embeddings import (
    EmbeddingRecipe,
    Embeddings,
    read_embeddings,
    write_embeddings,
)
from histofed.io.store import FeatureStore, Recipe

RECIPE = EmbeddingRecipe(
    slide_encoder={"name": "mean"}, features=Recipe(spec=TileSpec(), encoder="uni")
)
EMBEDDINGS = Embeddings(
    recipe_digest=RECIPE.digest,
    slide_ids=("S1", "Präparat-2"),
    features_digests=("a" * 64, "b" * 64),
    embeddings_SE=np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32),
)


def test_what_is_written_comes_back(tmp_path) -> None:
    path = tmp_path / "uni-mean.h5"
    write_embeddings(path, EMBEDDINGS, RECIPE)
    found = read_embeddings(path)
    np.testing.assert_array_equal(found.embeddings_SE, EMBEDDINGS.embeddings_SE)
    assert replace(found, embeddings_SE=EMBEDDINGS.embeddings_SE) == EMBEDDINGS
    with h5py.File(path) as file:  # as the specification says
        assert file.attrs["format"] == b"histofed/embeddings"
        assert file.attrs["slide_encoder"] == b"mean"
        assert file.attrs["encoder"] == b"uni"
        assert [text.decode() for text in file["slide_ids"]] == list(EMBEDDINGS.slide_ids)


def test_the_digest_depends_on_both_encoders_and_not_on_later_parameters() -> None:
    other = replace(RECIPE, slide_encoder={"name": "mean", "weights": "w"})
    tiles = replace(RECIPE, features=replace(RECIPE.features, encoder="virchow"))
    assert len({RECIPE.digest, other.digest, tiles.digest}) == 3
    assert replace(RECIPE, features=replace(RECIPE.features, stain={})).digest == RECIPE.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embeddings_SE": np.array([[1.0, np.nan], [0, 0]])}, "slide S1 is not finite"),
        ({"embeddings_SE": np.ones((1, 3))}, "one row for each"),
        ({"embeddings_SE": np.ones((2, 0))}, "one row for each"),
        ({"features_digests": ("a" * 64,)}, "one row for each"),
        ({"slide_ids": ("S1", "S1")}, "slide S1 has 2 rows"),
        ({"recipe_digest": "other"}, "not made by the recipe"),
    ],
)
def test_what_is_no_table_of_slides_is_not_written(tmp_path, changes, words) -> None:
    path = tmp_path / "e.h5"
    with pytest.raises(StoreError, match=words):
        write_embeddings(path, replace(EMBEDDINGS, **changes), RECIPE)
    assert not path.exists()


def test_damage_and_other_files_are_named(tmp_path) -> None:
    path = tmp_path / "e.h5"
    with pytest.raises(StoreError, match=r"e\.h5"):
        read_embeddings(path)
    write_embeddings(path, EMBEDDINGS, RECIPE)
    with pytest.raises(StoreError, match="expected a histofed/features file"):
        FeatureStore(tmp_path).read("e")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileDamaged, match=r"e\.h5: damaged"):
        read_embeddings(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["record"] = np.bytes_(b'{"slide_encoder": {"name": "x"}, "features": {}}')
    with pytest.raises(StoreError, match="was edited"):
        read_embeddings(path)
