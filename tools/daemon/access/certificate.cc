#include "tools/daemon/access/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace tools::daemon {
namespace {

template <typename T, void (*kFree)(T*)>
struct Deleter {
  void operator()(T* object) const { kFree(object); }
};
template <typename T, void (*kFree)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, kFree>>;

void FreeBio(BIO* bio) { BIO_free(bio); }
void FreeText(char* text) { OPENSSL_free(text); }

void AddName(const ASN1_STRING* string, std::vector<std::string>& names) {
  if (string == nullptr) return;
  const std::string name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                         static_cast<size_t>(ASN1_STRING_length(string)));
  // A zero in it, say, was meant to deceive somebody.
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (is_plain && !name.empty()) names.push_back(name);
}

void AddAlternativeNames(X509* certificate, int type, std::vector<std::string>& names) {
  const Owned<GENERAL_NAMES, GENERAL_NAMES_free> all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == type) AddName(name->d.ia5, names);
  }
}

void AddCommonName(X509* certificate, std::vector<std::string>& names) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return;
  AddName(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)), names);
}

std::string SerialOf(X509* certificate) {
  const Owned<BIGNUM, BN_free> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  const Owned<char, FreeText> text(BN_bn2hex(number.get()));
  std::string serial(text.get());
  return serial.erase(0, std::min(serial.find_first_not_of('0'), serial.size()));
}

std::string FingerprintOf(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  return absl::AsciiStrToUpper(absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size)));
}

time_t ExpiryOf(X509* certificate) {
  tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return timegm(&time);
}

}  // namespace

absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem) {
  const Owned<BIO, FreeBio> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Owned<X509, X509_free> x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (x509 == nullptr) return absl::InvalidArgumentError("this is no certificate");
  Certificate certificate;
  AddAlternativeNames(x509.get(), GEN_URI, certificate.names);
  AddAlternativeNames(x509.get(), GEN_DNS, certificate.names);
  AddCommonName(x509.get(), certificate.names);
  certificate.serial = SerialOf(x509.get());
  certificate.fingerprint = FingerprintOf(x509.get());
  certificate.not_after = ExpiryOf(x509.get());
  return certificate;
}

}  // namespace tools::daemon
