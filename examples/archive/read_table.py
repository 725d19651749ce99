"""Read the table of an archive: how many images it has, what failed, and the fullest ones.

    python read_table.py results/

Other programs read it as well: `SELECT * FROM 'results/*.parquet'` in DuckDB.
"""

import argparse
from pathlib import Path

import pandas as pd


def read_table(folder: Path) -> pd.DataFrame:
    """Return the rows that are there now, of all shards; more may come while they are counted."""
    lines = [path for path in sorted(folder.glob("shard-*.jsonl")) if path.stat().st_size]
    if lines:
        return pd.concat([pd.read_json(path, lines=True) for path in lines], ignore_index=True)
    return pd.read_parquet(folder)


def main() -> None:
    """Print a summary of a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what was given to count --out")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="images to list")
    options = parser.parse_args()

    table = read_table(options.folder)
    counted = table[table["error"].isna()]
    mean = counted["count"].mean()
    print(f"{len(counted)} images counted, {len(table) - len(counted)} failed, mean {mean:.1f}")
    for row in counted.nlargest(options.top, "count").itertuples():
        print(f"{row.count:9.1f}  {row.source}")
    for kind, number in table["error_type"].value_counts().items():
        print(f"{number} x {kind}")


if __name__ == "__main__":
    main()
