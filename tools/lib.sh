# shellcheck shell=bash
# Shared by the commands in tools/ and .ci/: what they say, packages, Bazel. To be sourced by bash.
#
# Sourcing it moves to the root of the project and sets $root.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit

# Says what is being done, and how long everything took so far.
say() {
  printf '[%3d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

# Ends the command with a reason.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Runs a command and shows its output only if it fails, which ends this command too.
quietly() {
  local output
  output=$("$@" </dev/null 2>&1) || {
    printf '%s\n' "$output" >&2
    die "this failed: $*"
  }
}

require_debian_12() {
  # shellcheck source=/dev/null
  . /etc/os-release
  [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]] ||
    die "this needs Debian 12, and here is ${PRETTY_NAME:-another system}"
}

# Prints the packages of tools/packages.txt that are not installed.
missing_packages() {
  local package
  while read -r package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      echo "$package"
  done < <(sed -E 's/[[:space:]]*#.*//; /^$/d' tools/packages.txt)
}

install_packages() {
  require_debian_12
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    say "All Debian packages are installed"
    return
  fi
  [[ $(id -u) == 0 ]] ||
    die "run this as root: apt-get install --no-install-recommends ${missing[*]}"
  say "Installing Debian packages, which takes some minutes: ${missing[*]}"
  quietly apt-get update
  quietly env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing[@]}"
}

# When all has to be over, in seconds on the clock of `say`; empty: there is no limit.
deadline=

# Whether so many minutes are left.
has_minutes() {
  [[ -z $deadline ]] || ((deadline - SECONDS >= $1 * 60))
}

# Runs Bazel: run_bazel COMMAND ARGUMENT...
# Ends it with status 8 at the deadline; Control-C ends this command, too.
# .bazelrc puts the disk cache below ~/.cache; it cannot see XDG_CACHE_HOME.
run_bazel() {
  local command=$1
  shift
  local flags=() limit=()
  [[ -z ${XDG_CACHE_HOME:-} ]] || flags+=("--disk_cache=$XDG_CACHE_HOME/vfio-compat/bazel")
  [[ -t 2 ]] || flags+=(--show_progress_rate_limit=20)
  if [[ -n $deadline ]]; then
    ((deadline > SECONDS)) || return 8
    limit=(timeout --foreground --preserve-status --signal=INT $((deadline - SECONDS)))
  fi
  local status=0
  "${limit[@]}" bazel "$command" "${flags[@]}" "$@" || status=$?
  ((status != 8)) || { [[ -n $deadline ]] && ! has_minutes 0; } || die "interrupted"
  return "$status"
}

# Prints what a query of Bazel finds, a label a line; shows why if it fails, and fails too.
query_bazel() {
  local status=0 log
  log=$(mktemp)
  run_bazel query "$@" 2>"$log" || status=$?
  ((status == 0)) || cat "$log" >&2
  rm -f "$log"
  return "$status"
}
