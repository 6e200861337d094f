#!/bin/bash
# fuzz/run and fuzz/coverage as their user meets them, with a Bazel and targets that are made up.
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
  {"filename": "/proc/self/cwd/ioas/soft/nvme/queues.cc", "summary": {"lines": {"count": 10, "covered": 9}}},
  {"filename": "/proc/self/cwd/ioas/kernel/iommufd.cc", "summary": {"lines": {"count": 10, "covered": 0}}},
  {"filename": "/proc/self/cwd/./compat/decode/call.h", "summary": {"lines": {"count": 2, "covered": 2}}},
  {"filename": "/proc/self/cwd/compat/decode/call_test.cc", "summary": {"lines": {"count": 9, "covered": 0}}},
  {"filename": "/usr/include/c++/12/vector", "summary": {"lines": {"count": 9, "covered": 0}}}
]}]}
JSON

# A Bazel that knows two targets, of which one finds something.
mkdir -p "$TEST_TMPDIR/path" "$TEST_TMPDIR/bin/fuzz"
cat >"$TEST_TMPDIR/path/bazel" <<BAZEL
#!/bin/bash
case \$1 in
  query)
    [[ -z \${BAZEL_FAILS:-} ]] || { echo 'no such package' >&2; exit 7; }
    printf '//fuzz:good\n//fuzz:bad\n'
    ;;
  info) echo "$TEST_TMPDIR/bin" ;;
esac
BAZEL
cat >"$TEST_TMPDIR/bin/fuzz/good" <<'PROGRAM'
#!/bin/bash
echo '#9 DONE   cov: 402 ft: 622 corp: 142/5252b lim: 4096 exec/s: 9 rss: 47Mb'
echo 'stat::number_of_executed_units: 1234'
PROGRAM
cat >"$TEST_TMPDIR/bin/fuzz/bad" <<'PROGRAM'
#!/bin/bash
echo '#7 NEW    cov: 11 ft: 22 corp: 1/1b lim: 4 exec/s: 0 rss: 47Mb'
echo 'this does not hold: 1 == 2'
echo "artifact_prefix='./'; Test unit written to /found/crash-1"
exit 77
PROGRAM
chmod +x "$TEST_TMPDIR/path/bazel" "$TEST_TMPDIR/bin/fuzz/"*
export PATH=$TEST_TMPDIR/path:$PATH HOME=$TEST_TMPDIR
unset XDG_CACHE_HOME

expect 0 'good: 1234 executions, 402 edges, nothing found' fuzz/run good --seconds 1
expect 0 '1 passed, 0 failed' fuzz/run good --minutes 1 --jobs 2
expect 1 'bad failed after 7 executions, 11 edges' fuzz/run bad
expect 1 "$TEST_TMPDIR/bin/fuzz/bad /found/crash-1" fuzz/run bad --corpus "$TEST_TMPDIR/corpus"
expect 1 '1 passed, 1 failed' fuzz/run --all --jobs 2
expect 0 '1 passed' fuzz/run good --corpus "$TEST_TMPDIR/corpus"
expect 0 '2468 | 402 | 0 | 0 |' bash -c 'fuzz/run good --corpus "$0" >/dev/null; fuzz/run --figures --corpus "$0"' "$TEST_TMPDIR/corpus"
expect 2 "no target 'worse', but these: good bad" fuzz/run worse
expect 0 $'good\nbad' fuzz/run --list
for command in 'fuzz/run good' 'fuzz/run --list' fuzz/coverage; do
  # shellcheck disable=SC2086 # Words, on purpose.
  expect 1 'no such package' env BAZEL_FAILS=1 $command
done
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
expect 0 'ioas without ioas/kernel          90.0 %       9 of     10 lines' \
  fuzz/coverage_table.py "$checkout" "$summary"
expect 0 'all four                          85.0 %      17 of     20 lines' \
  fuzz/coverage_table.py "$checkout" "$summary"
expect 0 $'linked with 1 other sources:\n  ioas/kernel/backend.cc' \
  fuzz/coverage_table.py "$checkout" "$summary"
expect 2 'Usage' fuzz/coverage_table.py
exit $((failures != 0))
