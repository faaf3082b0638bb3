"""Numbers in files of text."""

import warnings

import numpy as np
from numpy.typing import NDArray


def leading_numbers(text: bytes) -> NDArray[np.float64]:
    """Return the numbers ``[N]`` that white space separates, up to the first word that is no number."""
    if not text.strip():  # of which NumPy makes a number
        return np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # such a word, before NumPy 2.4
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            numbers = []
    for word in text.split():
        try:
            numbers.append(float(word))
        except ValueError:
            break
    return np.array(numbers, dtype=np.float64)
