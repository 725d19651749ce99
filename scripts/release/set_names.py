"""Names of the held-out sets for people, and which of them hold cameras that a model never saw."""

from collections.abc import Collection, Mapping
from typing import Any

from edgecount.errors import ConfigError
from edgecount.train.config import TrainConfig

TITLES = {
    "shanghaitech_a": "dense crowds (ShanghaiTech A)",
    "shanghaitech_b": "streets of Shanghai (ShanghaiTech B)",
    "scut_head": "classrooms and web pictures (SCUT-HEAD)",
    "mall": "a shopping mall (Mall)",
    "beijing_brt": "a bus platform from above (Beijing-BRT)",
    "ucf_cc_50": "very dense crowds (UCF_CC_50)",
    "hard_hat": "building sites (Hardhat)",
    "scut_head_b_more": "more web pictures (SCUT-HEAD B)",
    "citypersons_small": "streets from a car (CityPersons)",
    "negatives": "pictures without people",
    "more-cafe": "a cafe from above",
}


def never_seen(config: TrainConfig, seen: Collection[str]) -> set[str]:
    """Return the names of the sets that a run only measures.

    Args:
        config: config of the run: a set with ``weight: 0``, or that ``leave_out`` names, is held
            out whole.
        seen: those that an earlier run behind its weights was trained on.
    """
    whole = {
        entry.path.strip("/.").replace("/", "-") or entry.reader
        for entry in config.data
        if not entry.weight and not entry.split
    }
    left_out = {entry.name for entry in config.data if entry.name in config.leave_out}
    return (whole | left_out) - set(seen)


def describe(
    metrics: Mapping[str, Mapping[str, Any]],
    people: Mapping[str, float],
    unseen: Collection[str],
) -> dict[str, dict[str, Any]]:
    """Add to each set's numbers its people in the mean picture, its title, and ``seen``.

    Raises:
        ConfigError: a set of ``unseen`` was not measured.
    """
    unknown = set(unseen) - set(metrics)
    if unknown:
        raise ConfigError(f"unseen: expected some of {', '.join(metrics)}, got {min(unknown)!r}")
    return {
        name: {
            **numbers,
            "people": round(people[name], 1),
            "title": TITLES.get(name, name.replace("_", " ")),
            "seen": name not in unseen,
        }
        for name, numbers in metrics.items()
    }


def people_each(summary: Mapping[str, Any]) -> float:
    """Return the people in the mean picture of a set."""
    total: float = sum(level["images"] * level["true"] for level in summary["levels"])
    return total / float(summary["count"]["images"])
