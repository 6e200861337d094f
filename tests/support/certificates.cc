#include "tests/support/certificates.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"

namespace tests {
namespace {

const std::vector<std::string> kNewKey = {"-newkey", "ec", "-pkeyopt",
                                          "ec_paramgen_curve:prime256v1", "-nodes"};

void OpenSsl(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.begin(), "openssl");
  arguments.insert(arguments.end(), more.begin(), more.end());
  Command(arguments).Run();
}

}  // namespace

Authority::Authority(const std::string& name) {
  const char* const temporary = std::getenv("TEST_TMPDIR");
  folder_ = std::string(temporary != nullptr ? temporary : "/tmp") + "/" + name;
  std::filesystem::create_directories(folder_);
  files_ = {folder_ + "/authority.crt", folder_ + "/authority.key"};
  OpenSsl({"req", "-x509", "-subj", "/CN=" + name, "-days", "2", "-out", files_.certificate,
           "-keyout", files_.key},
          kNewKey);
}

CertificateFiles Authority::Issue(const CertificateRequest& request) const {
  const std::string path = folder_ + "/" + request.name;
  const CertificateFiles files{path + ".crt", path + ".key"};
  OpenSsl(
      {"req", "-new", "-subj", "/CN=" + request.name, "-out", path + ".csr", "-keyout", files.key},
      kNewKey);
  std::vector<std::string> extensions;
  if (!request.alternatives.empty()) {
    WriteFile(path + ".ext", "subjectAltName=" + request.alternatives + "\n");
    extensions = {"-extfile", path + ".ext"};
  }
  OpenSsl({"x509", "-req", "-in", path + ".csr", "-CA", files_.certificate, "-CAkey", files_.key,
           "-set_serial", "0x" + request.serial, "-days", std::to_string(request.days), "-out",
           files.certificate},
          extensions);
  return files;
}

}  // namespace tests
