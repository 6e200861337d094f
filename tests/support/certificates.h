// Certificates for tests, made by the openssl tool.
#ifndef TESTS_SUPPORT_CERTIFICATES_H_
#define TESTS_SUPPORT_CERTIFICATES_H_

#include <string>

namespace tests {

// A certificate's file and that of its key.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

struct CertificateRequest {
  std::string name{};          // the common name, and the files' name
  std::string alternatives{};  // subjectAltName, such as "URI:spiffe://site/ops"; empty: none
  std::string serial = "1";    // hexadecimal
  int days = 2;                // until it expires; negative: it has
};

// An authority, with a key of its own, in a folder of its own below $TEST_TMPDIR.
class Authority {
 public:
  explicit Authority(const std::string& name);

  // The authority's own certificate.
  const std::string& certificate() const { return files_.certificate; }
  // Issues one. Files that could not be made do not exist.
  CertificateFiles Issue(const CertificateRequest& request) const;

 private:
  std::string folder_;
  CertificateFiles files_;
};

}  // namespace tests

#endif  // TESTS_SUPPORT_CERTIFICATES_H_
