# shellcheck shell=bash
# Shared by the scripts. A file of NAME=value lines is never sourced: its values are data.

say() { printf '%s\n' "$*"; }

stop() { # stop PROBLEM FIX
  printf '\nStopped: %s\n' "$1" >&2
  [[ $# -lt 2 ]] || printf 'Fix: %s\n' "$2" >&2
  exit 1
}

# value FILE NAME: the value in the file, or nothing.
value() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line == "$2="* ]]; then
      printf '%s' "${line#*=}"
      return
    fi
  done < "$1"
}

# names FILE: every name in it, in order.
names() { sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$1"; }

# Runs a command, or only shows it with --dry-run.
run() {
  say "  \$ $*"
  [[ ${DRY_RUN:-} == yes ]] || "$@"
}

need() { command -v "$1" > /dev/null || stop "$1 is not installed." "$2"; }
