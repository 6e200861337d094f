"""clang-tidy over every C++ source of the targets being built: `bazel build --config=tidy //...`.

One action a source file, so that only what changed is looked at again. Headers are checked with the
sources that include them (HeaderFilterRegex of .clang-tidy). Any warning fails the build.
"""

_RULES = ["cc_binary", "cc_library", "cc_test"]

# What is not worth its time in tests: GoogleTest's macros make long functions, speed is no matter, and
# running every path through a test finds more than looking at it.
_TEST_CHECKS = ",".join([
    "-clang-analyzer-*",
    "-google-readability-*",
    "-performance-*",
    "-readability-*",
    "readability-identifier-naming",
])

# What does not fit a target with a tag: functions that stand in front of libc's declare them again, with
# names of parameters that say more than libc's.
_TAG_CHECKS = {"interposes": "-readability-inconsistent-declaration-parameter-name"}

# What does not fit the targets of a folder: clang-tidy 14 takes the conversion of an absl::string_view
# by `std::string(view)` for a cast of C's, and its analyzer spends more time on what gRPC's headers inline
# than all other checks together.
_FOLDER_CHECKS = {
    "tools/control": "-clang-analyzer-*",
    "tools/daemon": "-clang-analyzer-*,-google-readability-casting",
}

def _checks(target, rule):
    """Returns the changes to the configured checks for a target."""
    if rule.kind == "cc_test" or rule.attr.testonly:
        return _TEST_CHECKS
    checks = [_TAG_CHECKS[tag] for tag in rule.attr.tags if tag in _TAG_CHECKS]
    for folder, change in _FOLDER_CHECKS.items():
        if (target.label.package + "/").startswith(folder + "/"):
            checks.append(change)
    return ",".join(checks)

def _flags(target, rule):
    """Returns what the compiler must know to parse a source of the target."""
    context = target[CcInfo].compilation_context
    flags = ["-xc++", "-std=c++20", "-Wall"]
    for define in context.defines.to_list() + context.local_defines.to_list():
        flags.append("-D" + define)
    for path in context.quote_includes.to_list():
        flags += ["-iquote", path]
    for path in context.includes.to_list():
        flags += ["-I", path]
    for path in context.system_includes.to_list():
        flags += ["-isystem", path]
    return flags + rule.attr.copts

def _tidy(ctx, target, source, flags):
    """Declares the check of one source; its output is empty and only says that it passed."""
    passed = ctx.actions.declare_file("%s.%s.tidy" % (source.basename, ctx.rule.attr.name))
    checks = _checks(target, ctx.rule)
    ctx.actions.run_shell(
        mnemonic = "ClangTidy",
        progress_message = "clang-tidy %s" % source.short_path,
        inputs = depset(
            [source, ctx.file._config],
            transitive = [target[CcInfo].compilation_context.headers],
        ),
        outputs = [passed],
        # clang-tidy counts what it suppressed on standard error: noise unless it fails.
        command = """
passed=$1 config=$2 checks=$3 source=$4
shift 4
clang-tidy --quiet --config-file="$config" --checks="$checks" --warnings-as-errors='*' \
    "$source" -- "$@" > "$passed" 2>&1 || { grep -v ' warnings generated' "$passed"; exit 1; }
: > "$passed"
""",
        arguments = [passed.path, ctx.file._config.path, checks, source.path] + flags,
        use_default_shell_env = True,
    )
    return passed

def _clang_tidy_aspect_impl(target, ctx):
    if ctx.rule.kind not in _RULES or target.label.workspace_name:
        return []
    flags = _flags(target, ctx.rule)
    sources = [source for source in ctx.rule.files.srcs if source.extension == "cc" and source.is_source]
    passed = [_tidy(ctx, target, source, flags) for source in sources]
    return [OutputGroupInfo(tidy = depset(passed))]

clang_tidy_aspect = aspect(
    implementation = _clang_tidy_aspect_impl,
    attrs = {
        "_config": attr.label(
            default = "//:.clang-tidy",
            allow_single_file = True,
        ),
    },
    doc = "Checks the sources of one target with clang-tidy.",
)
