#!/bin/bash
# Every mutant applies to the tree, changes one line of the product, and says what finds it: a target that
# there is. Looks at the tree itself, not at copies of files.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
root=$here/../..
failures=0

fail() {
  printf '%s: %s\n' "$1" "$2"
  failures=$((failures + 1))
}

# Whether there is a target of this name: in a BUILD file, or by a file that is all of it.
has_target() {
  local label=${1#//} package
  package=$root/${label%%:*}
  grep -qs "\"${label#*:}\"" "$package/BUILD.bazel" || [[ -e $package/${label#*:}.cc ]]
}

check() {
  local name added removed finder file
  name=$(basename "$1" .patch)
  [[ $name =~ ^[0-9]{2}-[a-z0-9-]+$ ]] || fail "$name" "is no name as 01-what-is-wrong"
  [[ $(head -n 1 "$1") =~ ^[A-Z].*\.$ ]] || fail "$name" "does not begin with a sentence"
  finder=$(sed -n '2s/^Found-by: //p' "$1")
  has_target "$finder" || fail "$name" "there is no target '$finder' to find it"
  added=$(grep -c '^+[^+]' "$1") || true
  removed=$(grep -c '^-[^-]' "$1") || true
  ((added <= 1 && removed <= 1 && added + removed > 0)) || fail "$name" "changes more than a line"
  file=$(sed -n 's/^+++ b\///p' "$1")
  [[ $file != *_test.cc ]] || fail "$name" "changes a test"
  patch --dry-run --silent --force --fuzz=0 --strip=1 --directory="$root" <"$1" >/dev/null ||
    fail "$name" "does not apply"
}

patches=("$here"/*.patch)
((${#patches[@]} >= 24)) || fail "the folder" "has only ${#patches[@]} patches"
numbers=$(for each in "${patches[@]}"; do basename "$each" | cut -d- -f1; done | uniq -d)
[[ -z $numbers ]] || fail "the folder" "has several patches of one number: $numbers"
for each in "${patches[@]}"; do check "$each"; done
echo "${#patches[@]} patches, $failures failures"
((failures == 0))
