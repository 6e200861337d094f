// freeze, thaw, unmap, revoke, limit and faults.
#include <random>
#include <string>

#include "compat/settings/text.h"
#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/print.h"
#include "tools/control/table.h"
#include "vfio/compat/v1/actions.grpc.pb.h"
#include "vfio/compat/v1/faults.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

// So that gRPC's own second try is not a second action.
std::string NewRequestId() {
  std::random_device random;
  return Hex(static_cast<uint64_t>(random()) << 32 | random());
}

// Sets which container of which session the options name.
template <typename Request>
Failure FindPlace(const Client& client, const CommandOptions& options, Request& request) {
  uint32_t container = 0;
  if (Failure failure = client.FindSession(options.session, *request.mutable_session())) {
    return failure;
  }
  Failure failure = client.FindContainer(request.session(), options.container, container);
  request.set_container(container);
  return failure;
}

Failure MakeTarget(const Client& client, const CommandOptions& options, v1::Target& target) {
  if (options.container != 0) target.set_container(options.container);
  if (options.group) target.set_group(*options.group);
  if (!options.device.empty()) target.set_device(options.device);
  // Nobody has to be asked what there is: the process may hang.
  if (target.what_case() == v1::Target::WHAT_NOT_SET) target.set_all(true);
  return client.FindSession(options.session, *target.mutable_session());
}

void Print(const char* done, const v1::ActionResponse& response, bool dry_run) {
  std::string text = dry_run ? std::string("would be ") + done : done;
  if (response.was_in_force()) text = std::string("was ") + done + " already";
  std::string devices;
  for (const std::string& device : response.devices()) devices += " " + Printable(device);
  std::printf("%s%s%s\n", text.c_str(), devices.empty() ? "" : ":", devices.c_str());
  if (response.mapping_count() != 0) {
    std::printf("  %s mappings of %s\n", Count(response.mapping_count()).c_str(),
                Bytes(response.mapped_bytes()).c_str());
  }
  if (response.went_around_process()) {
    std::printf("  the process did not answer: its devices were cut off without it\n");
  }
}

// Makes one of the calls and prints its answer.
template <typename Request>
Failure Act(const Client& client, const char* done,
            grpc::Status (v1::Actions::Stub::*method)(grpc::ClientContext*, const Request&,
                                                      v1::ActionResponse*),
            Request& request, const CommandOptions& options) {
  request.set_dry_run(options.dry_run);
  request.set_request_id(NewRequestId());
  v1::ActionResponse response;
  const grpc::Status status = client.Call<v1::Actions>(method, request, &response);
  if (!status.ok()) return Explain(done, status);
  if (client.options().json) {
    PrintJson(response);
  } else {
    Print(done, response, options.dry_run);
  }
  return {};
}

Failure ReadRanges(const char* option, const CommandOptions& options,
                   google::protobuf::RepeatedPtrField<v1::Range>& ranges) {
  for (const std::string& text : options.allowed) {
    const std::string problem = ParseRange(text, *ranges.Add());
    if (!problem.empty()) return {cli::kUsage, std::string(option) + ": " + problem};
  }
  return {};
}

Failure ReadLimits(const CommandOptions& options, v1::Limits& limits) {
  if (!options.bytes_limit.empty()) {
    const auto bytes = compat::settings::ParseNumber(options.bytes_limit);
    if (!bytes.ok()) return {cli::kUsage, "--bytes: " + bytes.message()};
    limits.set_mapped_bytes(*bytes);
  }
  limits.set_mapping_count(options.mappings_limit.value_or(0));
  for (const std::string& name : options.types) {
    const v1::ContainerType type = TypeNamed(name);
    if (type == v1::CONTAINER_TYPE_UNSPECIFIED) {
      return {cli::kUsage, "--type " + compat::settings::Quoted(name) +
                               ": expected type1, type1v2, noiommu, spapr-tce or spapr-tce-v2"};
    }
    limits.add_types(type);
  }
  return ReadRanges("--allow", options, *limits.mutable_allowed_iovas());
}

Failure ListFaults(const Client& client, const std::string& session) {
  v1::ListFaultsRequest request;
  request.set_session(session);
  v1::ListFaultsResponse response;
  const grpc::Status status =
      client.Call<v1::Faults>(&v1::Faults::Stub::ListFaults, request, &response);
  if (!status.ok()) return Explain("faults", status);
  if (client.options().json) {
    PrintJson(response);
    return {};
  }
  std::printf("%s faults\n", Count(response.total()).c_str());
  for (const v1::Fault& fault : response.faults()) {
    std::printf("  %s at %s, %s, %s times: %s\n", RequesterOf(fault).c_str(),
                Hex(fault.iova()).c_str(), fault.access() == v1::ACCESS_WRITE ? "write" : "read",
                Count(fault.count()).c_str(), Printable(fault.reason()).c_str());
  }
  for (const v1::Range& range : response.refused()) {
    std::printf("refused: %s\n", HexRange(range.first(), range.last()).c_str());
  }
  return {};
}

}  // namespace

Failure Freeze(const Client& client, const CommandOptions& options) {
  v1::FreezeRequest request;
  if (Failure failure = MakeTarget(client, options, *request.mutable_target())) return failure;
  return Act(client, "frozen", &v1::Actions::Stub::Freeze, request, options);
}

Failure Thaw(const Client& client, const CommandOptions& options) {
  v1::ThawRequest request;
  if (Failure failure = MakeTarget(client, options, *request.mutable_target())) return failure;
  return Act(client, "thawed", &v1::Actions::Stub::Thaw, request, options);
}

Failure Unmap(const Client& client, const CommandOptions& options) {
  v1::UnmapRequest request;
  const std::string problem = ParseRange(options.range, *request.mutable_range());
  if (!problem.empty()) return {cli::kUsage, "RANGE: " + problem};
  if (Failure failure = FindPlace(client, options, request)) return failure;
  return Act(client, "unmapped", &v1::Actions::Stub::Unmap, request, options);
}

Failure Revoke(const Client& client, const CommandOptions& options) {
  v1::RevokeRequest request;
  if (Failure failure = FindPlace(client, options, request)) return failure;
  return Act(client, "revoked", &v1::Actions::Stub::Revoke, request, options);
}

Failure Limit(const Client& client, const CommandOptions& options) {
  v1::SetLimitsRequest request;
  if (Failure failure = ReadLimits(options, *request.mutable_limits())) return failure;
  // Types are offered by the session, and are no container's.
  request.set_container(options.container);
  Failure failure = options.types.empty()
                        ? FindPlace(client, options, request)
                        : client.FindSession(options.session, *request.mutable_session());
  if (failure) return failure;
  return Act(client, "limited", &v1::Actions::Stub::SetLimits, request, options);
}

Failure Faults(const Client& client, const CommandOptions& options) {
  std::string session;
  if (Failure failure = client.FindSession(options.session, session)) return failure;
  if (options.call == "clear") {
    v1::ClearFaultsRequest request;
    request.set_session(session);
    request.set_request_id(NewRequestId());
    v1::ClearFaultsResponse response;
    const grpc::Status status =
        client.Call<v1::Faults>(&v1::Faults::Stub::ClearFaults, request, &response);
    if (status.ok()) std::printf("%u records cleared\n", response.cleared());
    return Explain("faults", status);
  }
  if (options.call != "restore" && options.allowed.empty()) return ListFaults(client, session);
  v1::InjectFaultRequest request;
  request.set_session(session);
  request.set_dry_run(options.dry_run);
  request.set_request_id(NewRequestId());
  if (Failure failure = ReadRanges("--inject", options, *request.mutable_ranges())) return failure;
  v1::InjectFaultResponse response;
  return Explain("faults",
                 client.Call<v1::Faults>(&v1::Faults::Stub::InjectFault, request, &response));
}

}  // namespace tools::control
