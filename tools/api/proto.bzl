"""Code for protocol buffers and gRPC services, made by Debian's protoc and its plugins."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def _outputs(protos, suffixes):
    return [proto[:-len(".proto")] + suffix for proto in protos for suffix in suffixes]

def _generate(name, protos, sources, suffixes, flags):
    """A genrule that has protoc make files of `protos`, which need all of `sources`."""
    folder = native.package_name()
    protoc = "protoc --proto_path=%s --proto_path=/usr/include" % folder
    native.genrule(
        name = name,
        srcs = sources,
        outs = _outputs(protos, suffixes),
        cmd = " ".join(
            [protoc] + [flag % "$(RULEDIR)" for flag in flags] + [folder + "/" + proto for proto in protos],
        ),
    )

def cc_grpc_api(name, protos, services, **kwargs):
    """A cc_library of messages and services; includes are relative to the package.

    Args:
      name: of the library.
      protos: all .proto files.
      services: those that may have services.
      **kwargs: of cc_library.
    """
    _generate(name + "_cc_messages", protos, protos, [".pb.h", ".pb.cc"], ["--cpp_out=%s"])
    _generate(
        name + "_cc_services",
        services,
        protos,
        [".grpc.pb.h", ".grpc.pb.cc"],
        ["--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=%s"],
    )
    cc_library(
        name = name,
        srcs = _outputs(protos, [".pb.cc"]) + _outputs(services, [".grpc.pb.cc"]),
        hdrs = _outputs(protos, [".pb.h"]) + _outputs(services, [".grpc.pb.h"]),
        # Not the project's own code.
        copts = ["-w"],
        includes = ["."],
        deps = [
            "@system//:grpc++",
            "@system//:protobuf",
        ],
        **kwargs
    )

def py_grpc_api(name, protos, services, **kwargs):
    """A filegroup of the same in Python; the package's folder, as built, is to be on the path.

    Args:
      name: of the filegroup.
      protos: all .proto files.
      services: those that may have services.
      **kwargs: of filegroup.
    """
    _generate(name + "_py_messages", protos, protos, ["_pb2.py"], ["--python_out=%s"])
    _generate(
        name + "_py_services",
        services,
        protos,
        ["_pb2_grpc.py"],
        ["--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin --grpc_out=%s"],
    )
    native.filegroup(
        name = name,
        srcs = _outputs(protos, ["_pb2.py"]) + _outputs(services, ["_pb2_grpc.py"]),
        **kwargs
    )
