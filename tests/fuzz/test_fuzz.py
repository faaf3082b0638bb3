"""A few hundred inputs of ``python -m tests.fuzz``, and the fuzzer itself."""


import numpy as np
import pytest

from tests.fuzz.cases import all_seeds, read
from tests.fuzz.readers import READERS
from tests.fuzz.seeds import Seed

ORIGINS = all_seeds()


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda origin: f"{origin.reader}-{ORIGINS.index(origin)}")
def test_a_seed_is_read_as_its_known_values(origin: Seed) -> None:
    values = read(origin.reader, origin.files, origin.target)
    for name, known in origin.known.items():
        np.testing.assert_allclose(values[name], np.asarray(known), atol=1e-4, err_msg=name)


def test_every_reader_has_a_seed() -> None:
    assert {origin.reader for origin in ORIGINS} == set(READERS)
