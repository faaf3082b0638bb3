"""Collation of the nouns in a DataLoader, with workers that are spawned."""

import pytest
import torch
from torch.utils.data import DataLoader

import render3d
from render3d import Cameras, Mesh, Rendering, collate
from render3d.errors import ShapeError


def example(index: int) -> dict[str, object]:
    return {
        "mesh": Mesh(torch.eye(3) * (index + 1), torch.tensor([[0, 1, 2]])),
        "cameras": Cameras.sphere(2, 3.0 + index, image_size=(4, 6)),
        "image": Rendering({"alpha": torch.full((2, 1, 4, 6), index, dtype=torch.uint8)}),
        "label": index,
    }


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_nouns(workers: int) -> None:
    context = "spawn" if workers else None
    loader = DataLoader(
        [example(index) for index in range(4)],
        batch_size=2,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=context,
    )
    first, second = list(loader)
    assert first["mesh"].batch_shape == (2,)
    assert second["cameras"].leading_shape == (2, 2)
    torch.testing.assert_close(second["cameras"].position.norm(dim=-1), torch.tensor([[5.0, 5.0], [6.0, 6.0]]))
    assert second["image"].stored("alpha").dtype == torch.uint8
    assert second["label"].tolist() == [2, 3]
    torch.testing.assert_close(second["mesh"].vertices[1], 4 * torch.eye(3))


def test_meshes_of_different_topology_do_not_stack() -> None:
    meshes = [Mesh(torch.eye(3), torch.tensor([[0, 1, 2]])), Mesh(torch.eye(3), torch.tensor([[0, 2, 1]]))]
    with pytest.raises(ShapeError, match="must agree on 'faces'"):
        collate(meshes)
    assert render3d.collate is collate
