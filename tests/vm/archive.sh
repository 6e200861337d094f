# shellcheck shell=bash
# Packages of other releases of Debian, and for other processors, than this machine's: to be sourced.
#
# They come from the mirror that this machine's apt uses, by an apt state of their own, so that the
# machine gains no release and no architecture. Whoever sources this sets $program (messages.sh), $state,
# the folder of that state, and $architecture. Functions that fail say why in $state/log.

# shellcheck source=tests/vm/messages.sh
. "$(dirname "${BASH_SOURCE[0]}")/messages.sh"

# require_tools TOOL...
require_tools() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null || lacks "$tool is missing"
  done
}

# A program of apt's with all that it keeps below $state: own_apt PROGRAM ARGUMENT...
own_apt() {
  local tool=$1
  shift
  nice -n 19 "$tool" -o APT::Architecture="$architecture" \
    -o APT::Architectures="$architecture" -o Dir::State="$state" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$state/cache" \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
    -o APT::Update::Error-Mode=any "$@"
}

# The archives that this machine's apt uses, Debian's own first, whichever form its sources have.
archives() {
  # shellcheck disable=SC2016  # the format is apt's
  apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F '|' '$2 == "main" { print ($1 == "Debian" ? 0 : 1), $3 }' | sort -s -k 1,1 |
    awk '!seen[$2]++ { print $2 }'
}

# Tries an archive's suite, leaves apt's state with it and prints the newest package of a pattern:
# newest_package PATTERN ARCHIVE SUITE
newest_package() {
  printf 'deb %s %s main\n' "$2" "$3" >"$state/sources.list"
  # Backports have only what is newer than in their base.
  if [[ $3 == *-backports ]]; then
    printf 'deb %s %s main\n' "$2" "${3%-backports}" >>"$state/sources.list"
  fi
  say "Reading $3's list of packages for $architecture"
  own_apt apt-get update >"$state/log" 2>&1 &&
    own_apt apt-cache search --names-only "$1" | cut -d ' ' -f 1 | sort --version-sort | tail -n 1
}

# Prints the package of the first archive and suite that have one: find_package PATTERN SUITE...
find_package() {
  local pattern=$1 archive suite found
  shift
  while read -r archive; do
    for suite; do
      found=$(newest_package "$pattern" "$archive" "$suite") || continue
      [[ ! $found ]] || { echo "$found" && return; }
    done
  done < <(archives)
  return 1
}

# package_version PACKAGE
package_version() {
  own_apt apt-cache show --no-all-versions "$1" | sed -n 's/^Version: //p'
}

# Reads apt's reports and says every five seconds how far it is.
show_progress() {
  local next=$((SECONDS + 5)) kind percent
  while IFS=: read -r kind _ percent _; do
    if [[ $kind != dlstatus ]] || ((SECONDS < next)); then continue; fi
    next=$((SECONDS + 5))
    say "  ${percent%.*} %"
  done
}

# Leaves packages' files in $state/debs: download PACKAGE...
download() {
  rm -rf "$state/debs"
  mkdir -p "$state/debs"
  { (cd "$state/debs" && own_apt apt-get download -q -o APT::Status-Fd=3 "$@" \
    3>&1 >"$state/log" 2>&1); } | show_progress ||
    die "fetching failed: $(tail -n 5 "$state/log")"
}

# Waits until nobody else has the lock FILE, and keeps it: take_lock FILE
take_lock() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock --nonblock 9 && return
  say "Waiting for another who fetches the same"
  flock 9
}
