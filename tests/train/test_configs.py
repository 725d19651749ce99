"""Every config that comes with edgecount can be trained."""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.train.config import bundled_configs, find_config, load_config  # noqa: E402
from edgecount.train.config.extends import FOLDER  # noqa: E402
from edgecount.train.data.readers import READERS  # noqa: E402
from edgecount.train.data.splits import FOLDER as SPLITS  # noqa: E402
from edgecount.train.learner import check_crop  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Network  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

NAMES = sorted(bundled_configs())


@functools.cache
def network_of(name: str, options: str) -> Network:
    """Build a network without memory for its weights; many configs train the same one."""
    with torch.device("meta"):
        return build_model(name, json.loads(options))


def test_names_are_unique_over_the_folders():
    stems = Counter(path.stem for path in FOLDER.rglob("*.yaml"))
    assert [name for name, number in stems.items() if number > 1] == []
    assert len(stems) == len(NAMES) >= 21


@pytest.mark.parametrize("name", NAMES)
def test_a_config_builds_what_it_names(name):
    config = load_config(find_config(Path(name)))
    network = network_of(config.model.name, json.dumps(config.model.options))
    objective = build_objective(config.objective.name, config.objective.options, network)
    check_crop(config, network, objective)
    assert not config.backbone_weights or network.pretrained
    for entry in config.data:
        assert entry.reader in {*READERS, "scenes", "patterns", "blank"}
        assert not entry.split or (SPLITS / f"{entry.split}.txt").is_file()


def test_a_config_of_a_paper_says_which_row_it_is():
    rows = {}
    for name in NAMES:
        config = load_config(find_config(Path(name)))
        in_folder = find_config(Path(name)).parent != FOLDER
        assert bool(config.paper) == in_folder, name
        rows.setdefault(config.paper, []).append(name)
    rows.pop("")
    assert {row: names for row, names in rows.items() if len(names) > 1} == {}
