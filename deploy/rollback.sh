#!/usr/bin/env bash
# Go back to the previous image, or to the one you name. The ledger stays as it is.
#   deploy/rollback.sh [--dry-run] [IMAGE]
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"
mine="${EVERGREEN_MINE:-$here/mine}"
settings="$mine/settings.env"

DRY_RUN=
if [[ ${1:-} == --dry-run ]]; then DRY_RUN=yes; shift; fi
[[ -f $settings ]] || stop "there is no $settings." "deploy/deploy.sh init creates it."
now="$(value "$settings" EVERGREEN_IMAGE)"
image="${1:-}"
if [[ -z $image && -f $mine/images.log ]]; then
  image="$(awk -v now="$now" '$2 != now { last = $2 } END { print last }' "$mine/images.log")"
fi
[[ -n $image ]] || stop "no earlier image is known." "Name it: deploy/rollback.sh ghcr.io/YOU/evergreen:0.1.0"
say "Rolling back from $now to $image"
if [[ -z $DRY_RUN ]]; then
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line == EVERGREEN_IMAGE=* ]]; then line="EVERGREEN_IMAGE=$image"; fi
    printf '%s\n' "$line"
  done < "$settings" > "$settings.new"
  mv "$settings.new" "$settings"
fi
exec "$here/deploy.sh" ${DRY_RUN:+--dry-run}
