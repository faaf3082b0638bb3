"""Voxelises the furniture, draws docs/images/voxels.png, and prints the table and the credits of docs/collections.md.

Debian's package sweethome3d-furniture must be installed: make furniture. Run it as

    python docs/figures/voxels.py FOLDER

where FOLDER, which may be new, takes the models and the voxels: 360 MB.
"""

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor

import render3d as r3
from render3d.datasets import Split, VoxelizedCollection
from render3d.datasets.checks import SPLITS
from render3d.datasets.collections import DEBIAN_FURNITURE, MeshCollection, furniture
from render3d.renderers import OpenGL
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "voxels.png"
SIDE = 80
COLUMNS = 8


def cubes(voxels: Tensor) -> r3.Mesh:
    """The sides of occupied voxels ``[N, N, N]``, axes (z, y, x), that face empty ones."""
    size = len(voxels)
    occupied = torch.nn.functional.pad(voxels.bool(), (1,) * 6)
    square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    sides = []
    for axis in range(3):
        out, across, up = (torch.eye(3)[(2 - axis + turn) % 3] for turn in range(3))
        for towards in (-1, 1):
            middles = (occupied & ~occupied.roll(-towards, axis)).nonzero().flip(1)
            corners = towards * (out + square[:, :1] * across) + square[:, 1:] * up
            sides.append(middles[:, None] + corners / 2)
    corners = torch.cat(sides).reshape(-1, 3)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]]) + torch.arange(0, len(corners), 4)[:, None, None]
    return r3.Mesh((corners - (size + 1) / 2) * (2 / size), faces.reshape(-1, 3))


def pictured(dataset: VoxelizedCollection, label: str) -> list[int]:
    """Some examples of a class, spread over it."""
    of_class = [number for number, item in enumerate(dataset.objects) if item.label == label]
    return (
        [of_class[place * len(of_class) // COLUMNS] for place in range(COLUMNS)]
        if len(of_class) >= COLUMNS
        else of_class
    )


def figure(dataset: VoxelizedCollection) -> Image:
    """A row for each class."""
    camera = r3.Cameras.look_at((1.9, 1.5, 3.0), vertical_fov_degrees=46.0, image_size=(SIDE, SIDE))
    renderer = OpenGL(r3.Shading(samples_per_pixel=9))
    rows = []
    for label in dataset.classes:
        images = [renderer(cubes(dataset[number].volume[0]), camera).rgb[0] for number in pictured(dataset, label)]
        images += [torch.ones(3, SIDE, SIDE)] * (COLUMNS - len(images))
        rows.append(torch.cat(images, dim=-1))
    return image_of(torch.cat(rows, dim=-2))


def print_table(collection: MeshCollection) -> None:
    """Objects by class and split, as Markdown."""
    count = Counter((item.label, item.split) for item in collection)
    print(f"| class | {' | '.join(SPLITS)} | all |\n|---|{'---|' * 4}")
    for label in collection.classes:
        row = [count[label, split] for split in SPLITS]
        print(f"| {label} | {' | '.join(map(str, row))} | {sum(row)} |")
    row = [sum(item.split == split for item in collection) for split in SPLITS]
    print(f"| all | {' | '.join(map(str, row))} | {len(collection)} |")


def print_credits(folder: Path, ids: set[str]) -> None:
    """The creators of these models by licence, as Markdown."""
    creators = defaultdict(set)
    with (folder / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["id"] in ids:
                creators[" ".join(row["license"].split())].add(row["creator"])
    for license_, names in sorted(creators.items()):
        print(f"- {license_}: {', '.join(sorted(names))}")


def main(folder: Path) -> None:
    """All of it."""
    collection = furniture(DEBIAN_FURNITURE, folder / "models")
    print(collection)
    datasets: dict[Split, VoxelizedCollection] = {}
    for split in SPLITS:
        datasets[split] = VoxelizedCollection(split, collection, folder / "voxels")
        for left_out in datasets[split].prepare():
            print(f"{left_out.path}: {left_out.reason}")
    print(f"{sum(map(len, datasets.values()))} are voxelised.\n")
    print_table(collection)
    train = datasets["train"]
    figure(train).save(TARGET, optimize=True)
    print()
    ids = {train.objects[number].id for label in train.classes for number in pictured(train, label)}
    print_credits(folder / "models", ids)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
