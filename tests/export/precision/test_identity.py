"""The manifest that a converted file gets."""

import dataclasses

import numpy as np
from graphs import small_manifest

from edgecount.export.precision.identity import converted_manifest
from edgecount.export.verify.compare import Comparison, ImageComparison
from edgecount.manifest import IntervalSpec, Manifest, PostprocessSpec
from edgecount.runtime.models.engines import same_network

INTERVAL = IntervalSpec(0.9, below=1.0, above=1.5, floor=1.0, root=0.5, share=0.1, gap=0.2)


def comparison(*differences):
    images = [
        ImageComparison(str(i), 100.0, 100.0 + d, None, None, 0, 0.0)
        for i, d in enumerate(differences)
    ]
    return Comparison(images, 0.5, worst=None)


def original():
    post = PostprocessSpec(interval=INTERVAL)
    training = {"data": ["streets"], "metrics": {"streets": {"mae": 3.0}}}
    return dataclasses.replace(small_manifest(), postprocess=post, training=training)


def test_it_has_its_own_name_and_measurements():
    made = converted_manifest(original(), "int8+fp16", comparison(3.0, -1.0))
    assert made.name == "small-int8-fp16"
    assert made.training["data"] == ["streets"]
    assert made.training["converted"]["from"] == {"name": "small", "version": "1.0.0"}
    (facts,) = made.training["metrics"].values()
    assert facts == {"images": 2, "people": 100.0, "difference": 2.0, "bias": 1.0}
    assert Manifest.from_json(made.to_json()) == made
    assert same_network(made, original())
    assert not same_network(made, dataclasses.replace(original(), version="2"))


def test_the_interval_grows_by_what_the_conversion_adds():
    low, high = INTERVAL.around(100.0)
    same = converted_manifest(original(), "fp16", comparison(0.0)).postprocess.interval
    assert same == INTERVAL
    wider = converted_manifest(original(), "int8", comparison(4.0, -4.0)).postprocess.interval
    assert wider.around(100.0)[0] < low
    assert wider.around(100.0)[1] > high
    # Squares of the half widths add up on the nearer side, here the lower.
    added = np.sqrt((100 - wider.around(100.0)[0]) ** 2 - (100 - low) ** 2)
    np.testing.assert_allclose(added, 1.645 * 4.0, rtol=1e-6)


def test_no_interval_is_made_up():
    bare = small_manifest()
    assert converted_manifest(bare, "int8", comparison(4.0)).postprocess.interval is None
    onesided = dataclasses.replace(INTERVAL, below=0.0)
    post = PostprocessSpec(interval=onesided)
    made = converted_manifest(dataclasses.replace(bare, postprocess=post), "int8", comparison(4.0))
    assert made.postprocess.interval is None
