"""The texture recovered through OpenGL, at a tiny size: what the example writes is what it found."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from texture import chicken_of, decibels, image_in, main, study, textured


def test_the_texture_is_found_and_the_figures_are_those_of_what_was_found(tmp_path: Path) -> None:
    done = study(tmp_path / "views", views=8, held_out=2, image_size=96, texture_size=32, updates=15)
    found, start = done.measures(done.result.mesh), done.measures(done.start)
    assert start["texture_psnr_of_well_shown"] < 10 < 35 < found["texture_psnr_of_well_shown"]
    assert start["held_out_psnr"] < 12 < 30 < found["held_out_psnr"]
    exact = done.measures(done.truth)
    assert exact["texture_psnr_of_shown"] == torch.inf and exact["held_out_psnr"] > 50  # views are kept in 8 bits
    assert len(done.training) == 8 and len(done.held_out) == 2
    assert bool((image_in(done.result.mesh)[:, done.result.shown == 0] == 0.5).all())


def test_decibels_are_over_all_pixels_that_count_together() -> None:
    """One picture is off by 0.1 in sRGB, an equal one is not: a mean square of 0.005."""
    first = torch.zeros(2, 3, 4, 5)
    second = first.clone()
    second[0] = ((0.1 + 0.055) / 1.055) ** 2.4
    assert decibels(first, second, torch.ones(2, 1, 4, 5)) == pytest.approx(23.01, abs=0.01)
    assert decibels(first, second, torch.tensor([0.0, 1])[:, None, None, None].expand(2, 1, 4, 5)) == torch.inf


def test_the_chicken_has_the_mean_of_its_texels() -> None:
    small, large = image_in(chicken_of(16)), image_in(chicken_of(512))
    torch.testing.assert_close(small.mean((1, 2)), large.mean((1, 2)))
    black = textured(chicken_of(16), torch.zeros(4, 4, 3))
    assert image_in(black).shape == (3, 4, 4)


def test_the_command_writes_all_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(out=tmp_path, views=4, held_out=2, image_size=48, texture_size=16, updates=3)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["renders"], metrics["updates"], metrics["texels"]) == (4, 6, 256)
    assert len(metrics["differences"]) == 7 and metrics["differences"][-1] < metrics["differences"][0]
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img") == 3 + 2 * 3 and "<svg" in page
    assert f"{metrics['found']['held_out_psnr']:.1f}" in page
    with Image.open(tmp_path / "texture.png") as picture:
        assert picture.size == (3 * 48, 2 * 48)
    assert (tmp_path / "views" / "transforms.json").exists()
    assert "4 renders, 6 updates" in capsys.readouterr().out
