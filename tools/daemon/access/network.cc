#include "tools/daemon/access/network.h"

#include <grpcpp/security/server_credentials.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/files/read_file.h"

namespace tools::daemon {
namespace {

// gRPC would only refuse every connection.
absl::Status CheckPair(const NetworkOptions& options, const std::string& certificate,
                       const std::string& key) {
  BIO* const certificate_bio =
      BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size()));
  BIO* const key_bio = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
  X509* const x509 = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  absl::Status status;
  if (x509 == nullptr) {
    status = absl::InvalidArgumentError(options.certificate + ": no certificate");
  } else if (pkey == nullptr) {
    status = absl::InvalidArgumentError(options.key + ": no private key");
  } else if (X509_check_private_key(x509, pkey) != 1) {
    status = absl::InvalidArgumentError(options.key + ": is not the key of " + options.certificate);
  }
  EVP_PKEY_free(pkey);
  X509_free(x509);
  BIO_free(key_bio);
  BIO_free(certificate_bio);
  return status;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> NetworkCredentials(
    const NetworkOptions& options) {
  const std::array<std::pair<const char*, const std::string*>, 5> all{{
      {"--listen", &options.listen},
      {"--tls-cert", &options.certificate},
      {"--tls-key", &options.key},
      {"--tls-ca", &options.authorities},
      {"--policy", &options.policy},
  }};
  const auto is_missing = [](const auto& option) { return option.second->empty(); };
  if (std::all_of(all.begin(), all.end(), is_missing)) {
    return std::shared_ptr<grpc::ServerCredentials>();
  }
  const auto missing = std::find_if(all.begin(), all.end(), is_missing);
  if (missing != all.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(missing->first,
                     " is missing: a network socket needs --listen, --tls-cert, "
                     "--tls-key, --tls-ca and --policy"));
  }
  const absl::StatusOr<std::string> certificate = files::ReadFile(options.certificate);
  if (!certificate.ok()) return certificate.status();
  const absl::StatusOr<std::string> key = files::ReadFile(options.key);
  if (!key.ok()) return key.status();
  const absl::StatusOr<std::string> authorities = files::ReadFile(options.authorities);
  if (!authorities.ok()) return authorities.status();
  const absl::Status pair = CheckPair(options, *certificate, *key);
  if (!pair.ok()) return pair;
  grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  ssl.pem_root_certs = *authorities;
  ssl.pem_key_cert_pairs = {{*key, *certificate}};
  return grpc::SslServerCredentials(ssl);
}

}  // namespace tools::daemon
