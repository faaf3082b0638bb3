"""What changed between two runs, in words; and whether tensors did."""

import torch

from render3d.runs.identity import changes_between, fingerprint


def test_changes_name_what_was_and_what_is() -> None:
    was, now = {"seed": "0", "views": "ab", "mask": "c"}, {"seed": "3", "views": "ab", "scene": "mesh"}
    assert changes_between(was, now) == [
        "seed was 0 and is 3",
        "scene was absent and is mesh",
        "mask was c and is absent",
    ]
    assert not changes_between(was, dict(reversed(was.items())))


def test_a_fingerprint_changes_with_any_value_with_the_shape_and_with_the_note() -> None:
    base = torch.arange(6.0).reshape(2, 3)
    other = base.clone()
    other[1, 2] += 1e-6
    found = [
        fingerprint(base),
        fingerprint(other),
        fingerprint(base.reshape(3, 2)),
        fingerprint(base, base),
        fingerprint(base, note="orthographic"),
        fingerprint(base.bfloat16()),
    ]
    assert len(set(found)) == 6 and {len(each) for each in found} == {16}
    assert fingerprint(base.T.contiguous().T) == found[0]
