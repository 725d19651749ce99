"""Arrays of a batch: maps stacked, lists padded with zeros."""

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.train.data.stack import stack_padded


def test_lists_of_different_length_end_in_zeros():
    one, none, two = np.ones((1, 4)), np.zeros((0, 4)), np.full((2, 4), 3.0)
    stacked = stack_padded([a.astype(np.float32) for a in (one, none, two)])
    assert stacked.shape == (3, 2, 4)
    assert stacked[:, :, 0].tolist() == [[1.0, 0.0], [0.0, 0.0], [3.0, 3.0]]


def test_maps_of_one_size_are_stacked():
    maps = [np.full((1, 2, 3), value, np.float32) for value in (1, 2)]
    assert stack_padded(maps).numpy().tolist() == np.stack(maps).tolist()
