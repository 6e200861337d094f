// vconf_remote TARGET CONTAINER SCRIPT [AUTHORITY CERTIFICATE KEY]: vconf, whose calls a daemon's
// Containers service makes. TARGET is gRPC's name of the daemon; with certificates, by mutual TLS.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdio>

#include "tests/conformance/remote/remote_calls.h"
#include "tests/conformance/vconf.h"
#include "tests/support/runfiles.h"

int main(int argc, char** argv) {
  if (argc != 4 && argc != 7) {
    std::fprintf(stderr,
                 "usage: vconf_remote TARGET CONTAINER SCRIPT [AUTHORITY CERTIFICATE KEY]\n");
    return 2;
  }
  const auto credentials = argc == 4
                               ? grpc::InsecureChannelCredentials()
                               : grpc::SslCredentials({.pem_root_certs = tests::ReadFile(argv[4]),
                                                       .pem_private_key = tests::ReadFile(argv[6]),
                                                       .pem_cert_chain = tests::ReadFile(argv[5])});
  return vconf_run(argv[3], &tests::conformance::RemoteCalls(
                                grpc::CreateChannel(argv[1], credentials), argv[2]));
}
