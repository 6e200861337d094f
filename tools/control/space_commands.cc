// maps, map and translate.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "compat/settings/text.h"
#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/picture.h"
#include "tools/control/print.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/faults.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

// Which container of which session.
struct Place {
  std::string session;
  uint32_t container = 0;
};

Failure FindPlace(const Client& client, const CommandOptions& options, Place& place) {
  if (Failure failure = client.FindSession(options.session, place.session)) return failure;
  return client.FindContainer(place.session, options.container, place.container);
}

Failure MakeRequest(const CommandOptions& options, const Place& place,
                    v1::ListMappingsRequest& request) {
  request.set_session(place.session);
  request.set_container(place.container);
  if (options.range.empty()) return {};
  const std::string problem = ParseRange(options.range, *request.mutable_range());
  if (!problem.empty()) return {cli::kUsage, "--range: " + problem};
  return {};
}

// Says on a terminal's standard error how far a long list is that goes elsewhere.
class Progress {
 public:
  Progress() : shows_(isatty(STDERR_FILENO) != 0 && isatty(STDOUT_FILENO) == 0) {}
  ~Progress() {
    if (said_) std::fprintf(stderr, "\r\x1b[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Add(int mappings) {
    count_ += static_cast<uint64_t>(mappings);
    if (!shows_ || count_ < next_) return;
    next_ = count_ + 100'000;
    said_ = true;
    std::fprintf(stderr, "\r%s mappings", Count(count_).c_str());
  }

 private:
  bool shows_;
  bool said_ = false;
  uint64_t count_ = 0;
  uint64_t next_ = 100'000;
};

// Calls `each` with all mappings, a message at a time.
template <typename Each>
Failure ForMappings(const Client& client, const v1::ListMappingsRequest& request, Each each) {
  // No time limit: it streams, and there may be millions.
  grpc::ClientContext context;
  const auto stub = v1::AddressSpaces::NewStub(client.channel());
  const auto reader = stub->ListMappings(&context, request);
  v1::ListMappingsResponse response;
  Progress progress;
  while (reader->Read(&response)) {
    progress.Add(response.mappings_size());
    each(response);
  }
  return Explain("mappings", reader->Finish());
}

void PrintMapping(const v1::Mapping& mapping) {
  std::printf("%016llx-%016llx %s %016llx %d\n", static_cast<unsigned long long>(mapping.first()),
              static_cast<unsigned long long>(mapping.last()), AccessName(mapping.access()).c_str(),
              static_cast<unsigned long long>(mapping.user_address()), mapping.pid());
}

Failure GetFaults(const Client& client, const std::string& session,
                  v1::ListFaultsResponse& faults) {
  v1::ListFaultsRequest request;
  request.set_session(session);
  const grpc::Status status =
      client.Call<v1::Faults>(&v1::Faults::Stub::ListFaults, request, &faults);
  // The kernel's IOMMU has none to show.
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return {};
  return Explain("faults", status);
}

Failure WriteFile(const std::string& path, const std::string& text) {
  std::FILE* const file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (file == nullptr) return {cli::kUsage, "--svg " + path + ": " + std::strerror(errno)};
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool flushed = std::fflush(file) == 0;
  const int code = errno;
  if (file != stdout) std::fclose(file);
  if (written && flushed) return {};
  return {kRefused, "--svg " + path + ": " + std::strerror(code)};
}

v1::Access AccessNamed(const std::string& name) {
  if (name == "r") return v1::ACCESS_READ;
  if (name == "w") return v1::ACCESS_WRITE;
  return name == "rw" ? v1::ACCESS_READ_WRITE : v1::ACCESS_UNSPECIFIED;
}

}  // namespace

Failure Maps(const Client& client, const CommandOptions& options) {
  Place place;
  v1::ListMappingsRequest request;
  if (Failure failure = FindPlace(client, options, place)) return failure;
  if (Failure failure = MakeRequest(options, place, request)) return failure;
  return ForMappings(client, request, [&client](const v1::ListMappingsResponse& response) {
    for (const v1::Mapping& mapping : response.mappings()) {
      if (client.options().json) {
        PrintJson(mapping, true);
      } else {
        PrintMapping(mapping);
      }
    }
  });
}

Failure Map(const Client& client, const CommandOptions& options) {
  Place place;
  v1::ListMappingsRequest request;
  if (Failure failure = FindPlace(client, options, place)) return failure;
  if (Failure failure = MakeRequest(options, place, request)) return failure;
  v1::GetAddressSpaceRequest space_request;
  space_request.set_session(place.session);
  space_request.set_container(place.container);
  Picture picture;
  const grpc::Status status = client.Call<v1::AddressSpaces>(
      &v1::AddressSpaces::Stub::GetAddressSpace, space_request, &picture.space);
  if (!status.ok()) return Explain("address space", status);
  if (Failure failure = GetFaults(client, place.session, picture.faults)) return failure;
  picture.title = "session " + place.session + ", container " + std::to_string(place.container);
  Failure failure =
      ForMappings(client, request, [&picture](const v1::ListMappingsResponse& response) {
        for (const v1::Mapping& mapping : response.mappings()) picture.Add(mapping);
      });
  if (failure) return failure;
  return WriteFile(options.svg, picture.Svg());
}

Failure Translate(const Client& client, const CommandOptions& options) {
  const auto iova = compat::settings::ParseNumber(options.iova);
  if (!iova.ok()) return {cli::kUsage, "IOVA: " + iova.message()};
  Place place;
  if (Failure failure = FindPlace(client, options, place)) return failure;
  v1::TranslateRequest request;
  request.set_session(place.session);
  request.set_container(place.container);
  request.set_iova(*iova);
  request.set_access(AccessNamed(options.access));
  v1::Translation translation;
  const grpc::Status status =
      client.Call<v1::AddressSpaces>(&v1::AddressSpaces::Stub::Translate, request, &translation);
  if (!status.ok()) return Explain("translate", status);
  if (client.options().json) {
    PrintJson(translation);
  } else {
    const v1::Mapping& mapping = translation.mapping();
    std::printf("%s leads to %s of process %d, %s from there on\n", Hex(*iova).c_str(),
                Hex(translation.user_address()).c_str(), mapping.pid(),
                Bytes(translation.contiguous_bytes()).c_str());
    std::printf("  mapping %s, %s\n", HexRange(mapping.first(), mapping.last()).c_str(),
                AccessName(mapping.access()).c_str());
  }
  if (translation.is_permitted()) return {};
  return {kRefused, "translate: the mapping does not permit this access"};
}

}  // namespace tools::control
