#!/bin/bash
# Count an archive in 16 shards with Slurm:
#
#   sbatch slurm.sh /data/photos /data/results
#
# Run it again, or `sbatch --array=3,7 slurm.sh ...`, for what was stopped: it goes on from there.
#SBATCH --job-name=edgecount
#SBATCH --array=1-16
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=24:00:00
# A minute before its time is up, a shard finishes the image in hand and writes its file.
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=edgecount-%a.log
set -euo pipefail

photos=$1
results=$2
shards=16 # as in --array; not SLURM_ARRAY_TASK_COUNT, which is less when some are run again

exec edgecount count "$photos" --shard "$SLURM_ARRAY_TASK_ID/$shards" --out "$results" \
    --threads "${SLURM_CPUS_PER_TASK:-1}"
