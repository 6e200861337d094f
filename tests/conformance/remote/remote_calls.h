// The calls of a script, made by a client of a daemon: Containers of vfio.compat.v1.
#ifndef TESTS_CONFORMANCE_REMOTE_REMOTE_CALLS_H_
#define TESTS_CONFORMANCE_REMOTE_REMOTE_CALLS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "tests/conformance/vconf.h"

namespace tests::conformance {

// Opens a client with one device at 0000:00:03.0 in group 7, whose containers are of `container`'s
// types, and gives the calls that it makes. There is one in a process. A daemon that fails ends the
// process, with what it said.
const VconfCalls& RemoteCalls(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& container);

}  // namespace tests::conformance

#endif  // TESTS_CONFORMANCE_REMOTE_REMOTE_CALLS_H_
