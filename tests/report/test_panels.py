"""The slide can be cut out of its picture again."""

from __future__ import annotations

import numpy as np
from PIL import Image

from histofed.report.panels import picture_png, read_panel
from histofed.report.tile_picture import LONGER_PX, Backdrop, Outline, problem_picture

BACKDROP = Backdrop(pixels_HW3=np.full((250, 400, 3), 240, np.uint8), mpp=20.0)


def test_the_slide_in_a_picture_is_the_slide_pixel_by_pixel(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, LONGER_PX, 3), np.uint8)
    figure = problem_picture(
        Backdrop(pixels_HW3=noise, mpp=1.0), slide_id="S1", reason="slide S1: nothing there"
    )
    path = tmp_path / "S1.png"
    path.write_bytes(picture_png(figure, outline=None, problem="nothing there"))
    panel = read_panel(path, LONGER_PX)
    assert panel is not None
    assert (panel.problem, panel.outline) == ("nothing there", "")
    inner = slice(2, -2)  # the frame is drawn on the border
    np.testing.assert_array_equal(panel.pixels_HW3[inner, inner], noise[inner, inner])


def test_equal_pictures_are_equal_bytes_and_what_is_drawn_is_noted(tmp_path):
    drawn = Outline(mask_HW=np.ones((5, 8), bool), mpp=1000.0, method="user_regions")
    first, second = (
        picture_png(
            problem_picture(BACKDROP, slide_id="S1", reason="", outline=drawn), outline=drawn
        )
        for _ in range(2)
    )
    assert first == second
    path = tmp_path / "s.png"
    path.write_bytes(first)
    panel = read_panel(path, 320)
    assert panel is not None
    assert panel.pixels_HW3.shape == (200, 320, 3)
    assert (panel.outline, panel.problem) == ("region drawn by hand", "")


def test_a_picture_without_a_note_has_no_panel(tmp_path):
    path = tmp_path / "old.png"
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(path)
    assert read_panel(path, 300) is None
