"""@linux_headers//:uapi: a few user-space headers of a newer kernel than Debian's libc headers.

They come out of Debian's package of the kernel's source, for tests that compare the project's own
definitions with the kernel's. `#include <linux/vfio.h>` finds them before those of /usr/include.
"""

# Takes out what the kernel's own headers_install takes out: marks for the kernel's checkers.
_INSTALL = "sed -i -E -e 's/([[:space:](])(__user|__force|__iomem)[[:space:]]/\\1/g'" + \
           " -e '/#include <linux\\/compiler(_types)?\\.h>/d' \"$@\""

def _linux_headers_impl(repository_ctx):
    tarball = repository_ctx.path(repository_ctx.attr.tarball)
    if not tarball.exists:
        fail("%s is missing: apt-get install %s" % (
            tarball,
            tarball.basename.replace(".tar.xz", ""),
        ))
    top = tarball.basename.replace(".tar.xz", "")
    members = ["%s/include/uapi/%s" % (top, header) for header in repository_ctx.attr.headers]

    repository_ctx.report_progress("extracting %d headers from %s" % (len(members), tarball))
    # --occurrence ends the search at the last one found.
    extract = repository_ctx.execute(
        ["tar", "-xJf", str(tarball), "--strip-components=2", "--occurrence=1"] + members,
    )
    if extract.return_code != 0:
        fail("cannot extract %s: %s" % (tarball, extract.stderr))
    files = ["uapi/" + header for header in repository_ctx.attr.headers]
    install = repository_ctx.execute(["sh", "-c", _INSTALL, "sh"] + files)
    if install.return_code != 0:
        fail("cannot edit the headers: " + install.stderr)

    repository_ctx.file("BUILD.bazel", """
cc_library(
    name = "uapi",
    hdrs = {files},
    includes = ["uapi"],
    visibility = ["//visibility:public"],
)
""".format(files = repr(files)))

linux_headers = repository_rule(
    implementation = _linux_headers_impl,
    attrs = {
        "headers": attr.string_list(
            mandatory = True,
            doc = "Paths below the kernel's include/uapi.",
        ),
        "tarball": attr.string(
            mandatory = True,
            doc = "The source as Debian's package linux-source-VERSION installs it.",
        ),
    },
    doc = "Extracts user-space headers from the kernel's source.",
)
