"""Registries: short names, ``module:Name``, and what is refused."""

import pytest

from render3d.errors import CapabilityError
from render3d.registry import Registry

PLACES = {"ordered": "collections:OrderedDict", "counter": "collections:Counter", "missing": "nowhere_at_all:Part"}
DICTS: Registry[type[dict]] = Registry("dictionary", PLACES, base=dict, error=CapabilityError)


def test_a_part_is_found_by_its_short_name_in_any_case_and_by_its_full_one() -> None:
    from collections import ChainMap, Counter, OrderedDict

    assert DICTS.load("ordered") is DICTS.load("Ordered") is DICTS.load("collections:OrderedDict") is OrderedDict
    assert DICTS.load("collections:defaultdict")(int)[3] == 0
    assert DICTS.name_of(Counter) == "collections:Counter"
    assert DICTS.short_name_of(Counter) == "counter"
    assert DICTS.short_name_of(ChainMap) == "collections:ChainMap"
    assert list(DICTS) == ["ordered", "counter", "missing"]
    assert "Counter" in DICTS and "collections:Counter" not in DICTS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "countr",
            r"There is no dictionary 'countr'. Did you mean 'counter'\? Known: ordered, counter, missing; or mod",
        ),
        ("", "There is no dictionary ''. Known"),
        (
            "missing",
            "The dictionary 'missing' is in a module that cannot be imported: No module named",
        ),
        (":Counter", "cannot be imported"),
        (".collections:Counter", "cannot be imported"),
        ("collections:Nothing", "The module 'collections' has no 'Nothing' to be a dictionary"),
        ("collections:Counter.nothing", "has no 'Counter.nothing'"),
        ("collections:abc", "has no 'abc' to be a dictionary"),
        ("collections:deque", "'collections:deque' is not a dictionary: it must be a subclass of dict"),
        ("os:system", "'os:system' is not a dictionary: it must be a subclass of dict"),
    ],
)
def test_names_that_cannot_be_used_are_refused(name: str, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        DICTS.load(name)
