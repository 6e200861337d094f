#include <grpcpp/server_context.h>

#include <bit>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/parts_ahead.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/questions.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;

constexpr uint32_t kOwnedByIommu = ~0u;  // RangeInfo::owner

void Describe(const channel::RangeInfo& range, api::AddressSpace& out) {
  api::Range* where = nullptr;
  switch (static_cast<channel::RangeKind>(range.kind)) {
    case channel::RangeKind::kAperture:
      where = out.add_apertures();
      break;
    case channel::RangeKind::kReserved: {
      api::ReservedRange& reserved = *out.add_reserved();
      if (range.owner != kOwnedByIommu) reserved.set_owner(PciName(range.owner));
      where = reserved.mutable_range();
      break;
    }
    case channel::RangeKind::kWindow: {
      api::Window& window = *out.add_windows();
      window.set_page_size(range.detail);
      window.set_mapped_pages(range.mapped_pages);
      window.set_table_bytes(range.table_bytes);
      where = window.mutable_range();
      break;
    }
  }
  where->set_first(range.first);
  where->set_last(range.last);
}

void Describe(const channel::AddressSpaceInfo& info, api::Statistics& out) {
  out.set_maps(info.maps);
  out.set_unmaps(info.unmaps);
  out.set_mapping_count(info.live_mappings);
  out.set_mapped_bytes(info.bytes_mapped);
  out.set_dma_read_bytes(info.dma_read);
  out.set_dma_written_bytes(info.dma_written);
  out.set_faults(info.faults);
}

void Describe(const channel::IovaLimits& range, api::Range& out) {
  out.set_first(range.first);
  out.set_last(range.last);
}

void Describe(const FreeRangesAnswer& answer, api::FreeRanges& out) {
  for (const channel::IovaLimits& range : answer.free) Describe(range, *out.add_ranges());
  out.set_has_more(answer.found.more != 0);
  if (answer.found.has_largest != 0) Describe(answer.found.largest, *out.mutable_largest());
}

// What a session is to look for. kInvalidArgument, with the field.
absl::StatusOr<channel::FindRange> QuestionOf(const api::FindRangeRequest& request) {
  if (request.size() == 0) return InvalidField("size", "0: expected a number of bytes from 1 on");
  if (request.alignment() != 0 && !std::has_single_bit(request.alignment())) {
    return InvalidField("alignment", absl::StrFormat("%#x is no power of two, nor 0 (the smallest "
                                                     "page size)",
                                                     request.alignment()));
  }
  const uint64_t highest = request.highest() != 0 ? request.highest() : UINT64_MAX;
  if (highest < request.lowest()) {
    return InvalidField("highest",
                        absl::StrFormat("%#x is below lowest, %#x", highest, request.lowest()));
  }
  if (request.size() - 1 > highest - request.lowest()) {
    return InvalidField("size", absl::StrFormat("%#x does not fit between %#x and %#x",
                                                request.size(), request.lowest(), highest));
  }
  return channel::FindRange{.container = request.container(),
                            .reserved = 0,
                            .size = request.size(),
                            .alignment = request.alignment(),
                            .lowest = request.lowest(),
                            .highest = highest};
}

// That there is no such range, and what would do.
absl::Status NoSuchRange(const channel::FindRange& question, const FreeRangesAnswer& answer) {
  const std::string missing = absl::StrFormat(
      "nothing of %#x bytes with an alignment of %#x is usable and free between %#x and %#x; ",
      question.size, answer.found.alignment, question.lowest, question.highest);
  const channel::IovaLimits& largest = answer.found.largest;
  const std::string instead =
      answer.found.has_largest != 0
          ? absl::StrFormat("the largest that would do is %#x-%#x", largest.first, largest.last)
          : "there is none of any size";
  api::FreeRanges free;
  Describe(answer, free);
  return WithDetail(FieldError(absl::StatusCode::kResourceExhausted, "NO_SUCH_RANGE", "size",
                               absl::StrCat(missing, instead)),
                    free);
}

class AddressSpacesService final : public api::AddressSpaces::Service {
 public:
  explicit AddressSpacesService(const Parts& parts) : parts_(parts) {}

  grpc::Status GetAddressSpace(grpc::ServerContext* context,
                               const api::GetAddressSpaceRequest* request,
                               api::AddressSpace* response) override {
    return Guarded(
        parts_.guard, *context, "AddressSpaces.GetAddressSpace",
        [&](const Guard::Admission& admission) { return Get(admission, *request, *response); });
  }

  grpc::Status ListMappings(grpc::ServerContext* context, const api::ListMappingsRequest* request,
                            grpc::ServerWriter<api::ListMappingsResponse>* writer) override {
    return Guarded(
        parts_.guard, *context, "AddressSpaces.ListMappings",
        [&](const Guard::Admission& admission) { return List(admission, *request, *writer); });
  }

  grpc::Status Translate(grpc::ServerContext* context, const api::TranslateRequest* request,
                         api::Translation* response) override {
    return Guarded(parts_.guard, *context, "AddressSpaces.Translate",
                   [&](const Guard::Admission& admission) {
                     return TranslateOne(admission, *request, *response);
                   });
  }

  grpc::Status FindRange(grpc::ServerContext* context, const api::FindRangeRequest* request,
                         api::FindRangeResponse* response) override {
    return Guarded(
        parts_.guard, *context, "AddressSpaces.FindRange",
        [&](const Guard::Admission& admission) { return FindOne(admission, *request, *response); });
  }

 private:
  // The session of a request that names a container, too.
  template <typename Request>
  absl::StatusOr<std::shared_ptr<Session>> Find(const Guard::Admission& admission,
                                                const Request& request) const {
    RETURN_IF_ERROR(CheckContainer(request.container()));
    return FindSession(admission, parts_.registry, request.session());
  }

  absl::Status Get(const Guard::Admission& admission, const api::GetAddressSpaceRequest& request,
                   api::AddressSpace& response) const {
    const auto session = Find(admission, request);
    if (!session.ok()) return session.status();
    const auto answer = daemon::GetAddressSpace(**session, request.container());
    if (!answer.ok()) return answer.status();
    for (const channel::RangeInfo& range : answer->ranges) Describe(range, response);
    response.set_page_sizes(answer->info.page_sizes);
    Describe(answer->info, *response.mutable_statistics());
    return absl::OkStatus();
  }

  absl::Status List(const Guard::Admission& admission, const api::ListMappingsRequest& request,
                    grpc::ServerWriter<api::ListMappingsResponse>& writer) const {
    channel::ListMappings question = {
        .container = request.container(), .reserved = 0, .first = 0, .last = UINT64_MAX};
    if (request.has_range()) {
      RETURN_IF_ERROR(CheckRange("range", request.range()));
      question.first = request.range().first();
      question.last = request.range().last();
    }
    const auto session = Find(admission, request);
    if (!session.ok()) return session.status();
    api::ListMappingsResponse response;
    return ForEachPart(**session, channel::Kind::kListMappings, question, CheckMappings,
                       [&](const MappingsPart& part) {
                         response.Clear();
                         for (const channel::MappingInfo& mapping : part.mappings) {
                           daemon::Describe(mapping, *response.add_mappings());
                         }
                         return part.mappings.empty() || writer.Write(response);
                       });
  }

  absl::Status TranslateOne(const Guard::Admission& admission, const api::TranslateRequest& request,
                            api::Translation& response) const {
    if (request.access() < api::ACCESS_UNSPECIFIED || request.access() > api::ACCESS_READ_WRITE) {
      return InvalidField("access", absl::StrCat(static_cast<int>(request.access()),
                                                 " is no access: expected 0 to 3"));
    }
    const auto session = Find(admission, request);
    if (!session.ok()) return session.status();
    const auto translated = daemon::Translate(
        **session, {.container = request.container(), .reserved = 0, .iova = request.iova()});
    if (!translated.ok()) return translated.status();
    daemon::Describe(translated->mapping, *response.mutable_mapping());
    response.set_user_address(translated->user_address);
    response.set_contiguous_bytes(translated->contiguous);
    const auto access = static_cast<uint32_t>(request.access());
    response.set_is_permitted((translated->mapping.access & access) == access);
    return absl::OkStatus();
  }

  absl::Status FindOne(const Guard::Admission& admission, const api::FindRangeRequest& request,
                       api::FindRangeResponse& response) const {
    const auto question = QuestionOf(request);
    if (!question.ok()) return question.status();
    const auto session = Find(admission, request);
    if (!session.ok()) return session.status();
    const auto answer = daemon::FindRange(**session, *question);
    if (!answer.ok()) return answer.status();
    if (answer->found.is_found == 0) return NoSuchRange(*question, *answer);
    Describe(answer->found.range, *response.mutable_range());
    response.set_alignment(answer->found.alignment);
    Describe(*answer, *response.mutable_free());
    return absl::OkStatus();
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAddressSpacesService(const Parts& parts) {
  return std::make_unique<AddressSpacesService>(parts);
}

}  // namespace tools::daemon
