"""@system: the libraries of the host, as pkg-config describes them.

To add one, add a row to _LIBRARIES and its package to tools/packages.txt. A library that is not
installed fails the targets that use it, and no others.
"""

# Target name -> the pkg-config module that describes it, and link flags beyond the module's own.
_LIBRARIES = {
    # Status and what it stands on.
    "absl": struct(module = "absl_statusor", linkopts = []),
    "benchmark": struct(module = "benchmark", linkopts = []),
    # No module of its own: the library with main() goes before the one it uses.
    "benchmark_main": struct(module = "benchmark", linkopts = ["-lbenchmark_main"]),
    "cli11": struct(module = "CLI11", linkopts = []),
    "glib": struct(module = "glib-2.0", linkopts = []),
    "gmock": struct(module = "gmock", linkopts = []),
    "grpc++": struct(
        module = "grpc++",
        linkopts = [],
    ),
    # No module of its own, likewise: reflection, health and channelz.
    "grpc++_reflection": struct(
        module = "grpc++",
        linkopts = ["-lgrpc++_reflection", "-lgrpcpp_channelz"],
    ),
    "gtest": struct(module = "gtest", linkopts = []),
    "gtest_main": struct(module = "gtest_main", linkopts = []),
    "openssl": struct(module = "openssl", linkopts = []),
    "prometheus": struct(module = "prometheus-cpp-pull", linkopts = []),
    "protobuf": struct(module = "protobuf", linkopts = []),
    "spdlog": struct(module = "spdlog", linkopts = []),
    "systemd": struct(module = "libsystemd", linkopts = []),
}

def _pkg_config(repository_ctx, option, module):
    """Returns the flags that pkg-config prints, or None if it does not know the module."""
    result = repository_ctx.execute(["pkg-config", option, module])
    if result.return_code != 0:
        return None
    return [flag for flag in result.stdout.replace("\n", " ").split(" ") if flag]

def _missing(name, module):
    return """
genrule(
    name = "{name}_is_missing",
    outs = ["{name}_is_missing.h"],
    cmd = "echo 'pkg-config knows no {module}: run tools/build, which installs it' >&2; false",
)

cc_library(
    name = "{name}",
    hdrs = [":{name}_is_missing"],
)
""".format(name = name, module = module)

def _library(repository_ctx, name, library):
    """Returns the text of the target for one row of the table."""
    cflags = _pkg_config(repository_ctx, "--cflags", library.module)
    libs = _pkg_config(repository_ctx, "--libs", library.module)
    if cflags == None or libs == None:
        return _missing(name, library.module)

    includes = []
    defines = []
    for flag in cflags:
        if flag.startswith("-I"):
            # Bazel wants include paths inside the repository.
            link = "include/%s/%d" % (name, len(includes))
            repository_ctx.symlink(flag[2:], link)
            includes.append(link)
        elif flag.startswith("-D"):
            defines.append(flag[2:])
    return """
cc_library(
    name = "{name}",
    hdrs = glob({globs}),
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)
""".format(
        name = name,
        globs = repr([include + "/**/*.h" for include in includes]),
        defines = repr(defines),
        includes = repr(includes),
        linkopts = repr(library.linkopts + libs),
    )

def _system_libraries_impl(repository_ctx):
    text = 'package(default_visibility = ["//visibility:public"])\n'
    for name, library in _LIBRARIES.items():
        text += _library(repository_ctx, name, library)
    repository_ctx.file("BUILD.bazel", text)

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    configure = True,
    local = True,
    doc = "Asks pkg-config for every library of the table.",
)
