#!/bin/bash
# fuzz/run and fuzz/coverage as their user meets them, as far as nothing has to be built for it.
set -uo pipefail

failures=0

# expect STATUS TEXT COMMAND...: runs a command, which has to end so and say so.
expect() {
  local status=$1 text=$2 output actual=0
  shift 2
  output=$("$@" 2>&1) || actual=$?
  if ((actual != status)) || [[ $output != *"$text"* ]]; then
    printf '%s: ended with %d, not %d, or without "%s":\n%s\n' "$*" "$actual" "$status" "$text" "$output"
    failures=$((failures + 1))
  fi
}

summary=$TEST_TMPDIR/summary
checkout=$TEST_TMPDIR/checkout
mkdir -p "$checkout/compat/decode" "$checkout/ioas/kernel"
touch "$checkout/compat/decode/call.cc" "$checkout/ioas/kernel/backend.cc" "$checkout/ioas/a_test.cc"
cat >"$summary" <<'JSON'
{"data": [{"files": [
  {"filename": "/proc/self/cwd/compat/decode/call.cc", "summary": {"lines": {"count": 8, "covered": 6}}},
  {"filename": "/proc/self/cwd/./compat/decode/call.h", "summary": {"lines": {"count": 2, "covered": 2}}},
  {"filename": "/proc/self/cwd/compat/decode/call_test.cc", "summary": {"lines": {"count": 9, "covered": 0}}},
  {"filename": "/usr/include/c++/12/vector", "summary": {"lines": {"count": 9, "covered": 0}}}
]}]}
JSON

expect 0 'Usage: fuzz/run TARGET' fuzz/run --help
expect 2 'name a target, or say --all' fuzz/run
expect 2 'there is no option --fast' fuzz/run decode --fast
expect 2 '--seconds needs a number above 0' fuzz/run decode --seconds 0
expect 2 '--jobs needs a number above 0' fuzz/run decode --jobs
expect 2 'name no target' fuzz/run --all decode
expect 0 'Usage: fuzz/coverage' fuzz/coverage --help
expect 2 '--report needs a folder' fuzz/coverage --report
expect 2 'there is no option decode' fuzz/coverage decode
expect 0 'compat/decode                     80.0 %       8 of     10 lines' \
  fuzz/coverage_table.py "$checkout" "$summary"
expect 0 $'linked with 1 other sources:\n  ioas/kernel/backend.cc' \
  fuzz/coverage_table.py "$checkout" "$summary"
expect 2 'Usage' fuzz/coverage_table.py
exit $((failures != 0))
