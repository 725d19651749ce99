"""Count the images of a folder or a bucket with Ray, on this machine or on a cluster, to Parquet.

    python archive_ray.py photos counts
    RAY_ADDRESS=auto python archive_ray.py s3://bucket/photos s3://bucket/counts --concurrency 64

Each image gives one row; one that cannot be read has an error in its row. Started again, it counts
the images that have no row yet. `RAY_ADDRESS=auto` joins the cluster that this machine is part of.
"""

import argparse
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from ray.exceptions import RayError

import edgecount
import edgecount.ray

ROWS_PER_FILE = 10_000  # small files are slow to read, in object stores above all


def read_rows(folder: str, *columns: str) -> pa.Table | None:
    """Return some columns of all rows in a folder; None where there is none yet."""
    try:
        rows = ds.dataset(folder, format="parquet")
    except FileNotFoundError:
        return None
    return rows.to_table(columns=list(columns)) if rows.files else None


def count_archive(images: str, out: str, model: str, **options: object) -> None:
    """Count the images without a row in the folder `out`, and add their rows."""
    before = read_rows(out, "source")
    done = set() if before is None else set(before["source"].to_pylist())
    counts = edgecount.ray.count_images(images, model, done=done, **options)
    # Writing takes no CPU of its own here: then it goes on where machines are lost, too.
    counts.write_parquet(out, min_rows_per_file=ROWS_PER_FILE, ray_remote_args={"num_cpus": 0})


def report(out: str) -> str:
    """Return a line about all rows in a folder."""
    rows = read_rows(out, "count", "error")
    if rows is None:
        return "no rows"
    failed = len(rows) - rows["error"].null_count
    people = pc.sum(rows["count"]).as_py() or 0
    return f"{len(rows)} images, {people:.0f} people; {failed} images could not be counted"


def main() -> None:
    """Parse the options, count, and print what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="a folder, a list (.txt), or a URL such as s3://bucket/key")
    parser.add_argument("out", help="folder or URL of the Parquet files")
    parser.add_argument("--model", default="edgecount-s")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--concurrency", type=int, help="actors; default: one for each CPU")
    parser.add_argument("--num-cpus", type=float, help="CPUs of an actor; default: half a one")
    parser.add_argument("--accept-damaged", action="store_true", help="count truncated files")
    options = vars(parser.parse_args())
    try:
        count_archive(**options)
        print(report(options["out"]))
    except (edgecount.EdgeCountError, pa.ArrowInvalid) as error:
        sys.exit(f"error: {error}")
    except RayError as error:  # its last line is that of the actor
        sys.exit(f"error: {str(error).strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
