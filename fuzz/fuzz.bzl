"""fuzz_target: one libFuzzer target, and the test that runs its corpus in every configuration."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def fuzz_target(name, srcs, deps, dictionary = None, copts = [], data = [], size = "small", tags = [], **kwargs):
    """Declares what bytes do to one interface, as a fuzzer and as a test.

    NAME is the libFuzzer program: it is built with --config=fuzz alone, and fuzz/run runs it. NAME.dict are
    its words. NAME_corpus_test runs every file of fuzz/corpora/NAME once; it is an ordinary test and fails
    when there is none.

    Args:
      name: of the target; //fuzz/corpora has to know a corpus of this name.
      srcs: define LLVMFuzzerTestOneInput, and LLVMFuzzerInitialize if that is needed.
      deps: of the sources.
      dictionary: a file of words in libFuzzer's format, such as //fuzz:calls.dict.
      copts: of the sources.
      data: files that the target reads.
      size: of the test.
      tags: of the test, such as no-tsan.
      **kwargs: attributes of all of them, such as visibility.
    """
    cc_library(
        name = name + "_input",
        testonly = 1,
        srcs = srcs,
        copts = copts,
        data = data,
        deps = deps,
        # Nothing but libFuzzer, or the test's main, names the function.
        alwayslink = 1,
        **kwargs
    )
    cc_binary(
        name = name,
        testonly = 1,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [
            ":" + name + "_input",
            "//fuzz:sanitizer_options",
        ],
        **kwargs
    )
    native.genrule(
        name = name + "_words",
        srcs = [dictionary] if dictionary else [],
        outs = [name + ".dict"],
        # libFuzzer takes no empty dictionary.
        cmd = "{ echo '# The words of %s.'; cat $(SRCS) </dev/null; } > $@" % name,
        tags = ["manual"],
        **kwargs
    )
    cc_test(
        name = name + "_corpus_test",
        size = size,
        args = ["fuzz/corpora/" + name],
        data = ["//fuzz/corpora:" + name],
        tags = tags,
        deps = [
            ":" + name + "_input",
            "//fuzz:corpus_main",
            "//fuzz:sanitizer_options",
        ],
        **kwargs
    )
