#!/bin/sh
# After a power cut, a file system may leave zeros at the end of Valkey's log, with which Valkey does not start. This cuts
# them, and nothing else; an incomplete last write before them is dropped by Valkey. To run before Valkey: cut-zeros.sh DIRECTORY
set -eu
log="$1/appendonlydir"
[ -f "$log/appendonly.aof.manifest" ] || exit 0
file="$log/$(sed -n 's/^file \(.*\) seq [0-9]* type i.*/\1/p' "$log/appendonly.aof.manifest" | tail -n 1)"  # the one it appends to
[ -f "$file" ] && [ -s "$file" ] || exit 0

# Whether there are only zeros from this byte on.
only_zeros() { [ "$(tail -c "+$(($1 + 1))" "$file" | tr -d '\000' | head -c 1 | wc -c)" -eq 0 ]; }

size=$(($(wc -c < "$file")))
only_zeros $((size - 1)) || exit 0
low=0 end=$size
while [ "$low" -lt "$end" ]; do
  middle=$(((low + end) / 2))
  if only_zeros "$middle"; then end=$middle; else low=$((middle + 1)); fi
done
dd if=/dev/null of="$file" bs=1 seek="$end" 2> /dev/null
echo "Cut $((size - end)) zero bytes, left by a power cut, off the end of $file."
