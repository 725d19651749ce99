#!/bin/bash
# Count an archive in 16 shards with GNU parallel, one at a time for each core of this machine:
#
#   ./parallel.sh /data/photos /data/results
#
# With PARALLEL="--sshlogin one,two" the machines one and two count, which have the same folders.
# Run it again for what was stopped: it goes on from there.
set -euo pipefail

photos=$1
results=$2
shards=16

seq "$shards" | parallel --quote --line-buffer --tag --retries 2 \
    edgecount count "$photos" --shard {}/"$shards" --out "$results" --threads 1
