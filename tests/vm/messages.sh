# shellcheck shell=bash
# What programs in this folder say, on standard error, and how they end: to be sourced. $program is
# the name that reasons begin with.

say() {
  printf '[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2
}

die() {
  printf '%s: %s\n' "$program" "$*" >&2
  exit 1
}

# Ends with the status that stands for a machine that cannot do this.
lacks() {
  printf '%s: %s\n' "$program" "$*" >&2
  exit 77
}
