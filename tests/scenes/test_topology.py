"""What faces say about edges and neighbours, beside plain loops over them."""

import gc
import weakref

import torch

from render3d import Mesh
from render3d.scenes.topology import edges_of, face_pairs, is_closed, neighbours, split_at_seams


def test_each_edge_is_counted_once() -> None:
    hinge = torch.tensor([[0, 1, 2], [1, 0, 3]])
    assert edges_of(hinge).ends.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]]
    assert len(edges_of(Mesh.icosphere(2).faces).ends) == 3 * 320 // 2


def test_neighbours_share_an_edge_and_every_inner_edge_has_one_pair() -> None:
    faces = Mesh.icosphere(1).faces
    pairs = face_pairs(faces)
    assert len(pairs) == 3 * len(faces) // 2
    assert all(len(set(faces[a].tolist()) & set(faces[b].tolist())) == 2 for a, b in pairs.tolist())


def test_edges_of_three_faces_take_no_part() -> None:
    fan = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    assert len(face_pairs(fan)) == 0


def test_closed_means_every_edge_both_ways() -> None:
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    assert is_closed(faces)
    assert not is_closed(faces[:3])
    assert not is_closed(torch.cat([faces[:3], faces[3:, [0, 2, 1]]]))  # one face turned round
    changed = faces.clone()
    assert is_closed(changed)
    changed[0, 0] = 3
    assert not is_closed(changed)


def test_neighbours_are_the_vertices_of_the_same_faces() -> None:
    faces = Mesh.icosphere(1).faces
    table, real = neighbours(faces, 43)  # vertex 42 has no face
    for vertex in range(43):
        expected = {vertex} | {int(v) for face in faces if vertex in face for v in face}
        assert set(table[vertex][real[vertex]].tolist()) == expected
        assert set(table[vertex].tolist()) == expected
        assert int(table[vertex, 0]) == vertex


def test_sides_are_numbered_by_face_and_know_their_edge() -> None:
    faces = Mesh.icosphere(1).faces[:50]
    ends, sides, of_side = edges_of(faces)
    for number, (start, end) in enumerate(sides.tolist()):
        corners = faces[number // 3].tolist()
        assert (start, end) == (corners[number % 3], corners[(number + 1) % 3])
        assert ends[of_side[number]].tolist() == sorted((start, end))
    uses = edges_of(faces).uses.tolist()
    assert uses == [sum(sorted(side) == edge for side in sides.tolist()) for edge in ends.tolist()]


def test_faces_that_change_are_looked_at_anew_and_no_faces_have_no_edges() -> None:
    faces = torch.tensor([[0, 1, 2]])
    assert edges_of(faces) is edges_of(faces)
    faces[0, 2] = 3
    assert edges_of(faces).ends.tolist() == [[0, 1], [0, 3], [1, 3]]
    none = torch.empty(0, 3, dtype=torch.long)
    assert edges_of(none).ends.shape == face_pairs(none).shape == (0, 2)
    assert is_closed(none)


def test_vertices_are_split_once_for_each_coordinate_that_they_have() -> None:
    faces, random = Mesh.icosphere(1).faces, torch.Generator().manual_seed(0)
    rows = torch.randint(5, faces.shape, generator=random)
    split = split_at_seams(faces, rows)
    assert torch.equal(split.of_vertices[split.faces], faces)
    assert torch.equal(split.of_uv[split.faces], rows)
    pairs = sorted({(v, row) for v, row in zip(faces.reshape(-1).tolist(), rows.reshape(-1).tolist(), strict=True)})
    assert list(zip(split.of_vertices.tolist(), split.of_uv.tolist(), strict=True)) == pairs
    none = torch.empty(0, 3, dtype=torch.long)
    assert split_at_seams(none, none).faces.shape == (0, 3)


def test_split_vertices_are_remembered_until_either_of_the_faces_changes() -> None:
    faces, rows = torch.tensor([[0, 1, 2], [2, 1, 3]]), torch.zeros(2, 3, dtype=torch.long)
    assert split_at_seams(faces, rows) is split_at_seams(faces, rows)
    assert split_at_seams(faces, rows.clone()) is not split_at_seams(faces, rows)
    rows[1, 0] = 1
    assert split_at_seams(faces, rows).of_vertices.tolist() == [0, 1, 2, 2, 3]
    faces[1, 2] = 4
    assert split_at_seams(faces, rows).of_vertices.tolist() == [0, 1, 2, 2, 4]
    gone = weakref.ref(faces)
    del faces
    gc.collect()
    assert gone() is None
