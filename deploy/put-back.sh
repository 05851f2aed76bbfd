#!/bin/sh
# Make a Valkey with an AOF start from an RDB file, which becomes the AOF's base. Run it while Valkey is stopped.
#   put-back.sh COPY DATA     COPY: an .rdb file; DATA: Valkey's data folder
set -eu
copy="$1" data="$2"
[ -s "$copy" ] || { echo "there is no $copy" >&2; exit 1; }
head -c 9 "$copy" | grep -qE '^(REDIS|VALKEY)' || { echo "$copy is not a backup from Valkey" >&2; exit 1; }
new="$data/put-back"
rm -rf "$new"
mkdir "$new"
cp "$copy" "$new/appendonly.aof.1.base.rdb"
echo "file appendonly.aof.1.base.rdb seq 1 type b" > "$new/appendonly.aof.manifest"
if [ -d "$data/appendonlydir" ]; then mv "$data/appendonlydir" "$data/before-$(date -u +%Y%m%dT%H%M%SZ)"; fi
mv "$new" "$data/appendonlydir"
