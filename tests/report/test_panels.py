"""The slide can be cut out of its picture again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from histofed.report.panels import picture_jpeg, read_panel
from histofed.report.tile_picture import LONGER_PX, Backdrop, Outline, problem_picture

BACKDROP = Backdrop(pixels_HW3=np.full((250, 400, 3), 240, np.uint8), mpp=20.0)


def test_the_slide_in_a_picture_is_the_slide_pixel_by_pixel(tmp_path):
    """Red and blue squares of a pixel would blend, were the colours stored at half the size."""
    squares = np.random.default_rng(0).integers(0, 2, (900, LONGER_PX), np.uint8)
    slide = np.zeros((900, LONGER_PX, 3), np.uint8)
    slide[..., 0], slide[..., 2] = 100 + 100 * squares, 200 - 100 * squares
    figure = problem_picture(
        Backdrop(pixels_HW3=slide, mpp=1.0), slide_id="S1", reason="slide S1: nothing there"
    )
    path = tmp_path / "S1.jpg"
    path.write_bytes(picture_jpeg(figure, outline=None, problem="nothing there"))
    panel = read_panel(path, LONGER_PX)
    assert panel is not None
    assert (panel.problem, panel.outline) == ("nothing there", "")
    inner = slice(2, -2)  # the frame is drawn on the border
    found, wanted = (each[inner, inner].astype(float) for each in (panel.pixels_HW3, slide))
    assert np.abs(found - wanted).mean() < 12
    assert np.abs(found - np.roll(wanted, 1, axis=1)).mean() > 30  # of 33: not one pixel aside


def test_equal_pictures_are_equal_bytes_and_what_is_drawn_is_noted(tmp_path):
    drawn = Outline(mask_HW=np.ones((5, 8), bool), mpp=1000.0, method="user_regions")
    first, second = (
        picture_jpeg(
            problem_picture(BACKDROP, slide_id="S1", reason="", outline=drawn), outline=drawn
        )
        for _ in range(2)
    )
    assert first == second
    path = tmp_path / "s.jpg"
    path.write_bytes(first)
    panel = read_panel(path, 320)
    assert panel is not None
    assert panel.pixels_HW3.shape == (200, 320, 3)
    assert (panel.outline, panel.problem) == ("region drawn by hand", "")


@pytest.mark.parametrize("comment", [None, "made by hand: {}", "caf\u00e9"])
def test_a_picture_without_a_note_has_no_panel(tmp_path, comment):
    path = tmp_path / "old.jpg"
    said = {} if comment is None else {"comment": comment.encode()}
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(path, **said)
    assert read_panel(path, 300) is None


def test_a_note_may_hold_any_letters(tmp_path):
    path, reason = tmp_path / "s.jpg", "slide Bär: 5 µm, „off“"
    figure = problem_picture(BACKDROP, slide_id="Bär", reason=reason)
    path.write_bytes(picture_jpeg(figure, outline=None, problem=reason))
    panel = read_panel(path, 300)
    assert panel is not None
    assert panel.problem == reason
