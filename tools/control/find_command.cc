// find.
#include <algorithm>
#include <cstdio>
#include <string>

#include "compat/settings/text.h"
#include "google/rpc/status.pb.h"
#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/print.h"
#include "tools/control/table.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

Failure ReadNumber(const char* option, const std::string& text, uint64_t& number) {
  if (text.empty()) return {};
  const auto parsed = compat::settings::ParseNumber(text);
  if (!parsed.ok()) return {cli::kUsage, std::string(option) + ": " + parsed.message()};
  number = *parsed;
  return {};
}

Failure MakeRequest(const CommandOptions& options, v1::FindRangeRequest& request) {
  uint64_t size = 0;
  uint64_t alignment = 1;
  uint64_t lowest = 0;
  uint64_t highest = UINT64_MAX;
  if (Failure failure = ReadNumber("--size", options.wanted_size, size)) return failure;
  if (Failure failure = ReadNumber("--align", options.alignment, alignment)) return failure;
  if (Failure failure = ReadNumber("--from", options.lowest, lowest)) return failure;
  if (Failure failure = ReadNumber("--to", options.highest, highest)) return failure;
  // To the API these zeroes are what is not said.
  if (alignment == 0) return {cli::kUsage, "--align: 0 is no alignment"};
  if (highest == 0) return {cli::kUsage, "--to: 0 leaves no room"};
  request.set_size(size);
  if (!options.alignment.empty()) request.set_alignment(alignment);
  request.set_lowest(lowest);
  request.set_highest(highest);
  return {};
}

// Whether an error's details tell what is free: then that is `free`.
bool ReadDetails(const grpc::Status& status, v1::FreeRanges& free) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return false;
  return std::ranges::any_of(details.details(),
                             [&free](const auto& detail) { return detail.UnpackTo(&free); });
}

std::string SizeOf(const v1::Range& range) {
  // All 64 bits of addresses are a byte more than a number can say.
  const uint64_t below = range.last() - range.first();
  return Bytes(below == UINT64_MAX ? below : below + 1);
}

void Print(const v1::FindRangeResponse& response) {
  if (response.has_range()) {
    std::printf("%s, aligned to %s\n",
                HexRange(response.range().first(), response.range().last()).c_str(),
                Hex(response.alignment()).c_str());
  }
  const v1::FreeRanges& free = response.free();
  if (free.ranges().empty()) return;
  Table table({{.title = "FREE"}, {.title = "SIZE", .is_right_aligned = true}});
  for (const v1::Range& range : free.ranges()) {
    table.AddRow({HexRange(range.first(), range.last()), SizeOf(range)});
  }
  std::printf("%s%s", table.Text(Terminal::OfStandardOutput()).c_str(),
              free.has_more() ? "and more\n" : "");
}

}  // namespace

Failure Find(const Client& client, const CommandOptions& options) {
  v1::FindRangeRequest request;
  if (Failure failure = MakeRequest(options, request)) return failure;
  uint32_t container = 0;
  if (Failure failure = client.FindSession(options.session, *request.mutable_session())) {
    return failure;
  }
  if (Failure failure = client.FindContainer(request.session(), options.container, container)) {
    return failure;
  }
  request.set_container(container);
  v1::FindRangeResponse response;
  const grpc::Status status =
      client.Call<v1::AddressSpaces>(&v1::AddressSpaces::Stub::FindRange, request, &response);
  // What there is instead is worth knowing, too.
  if (!status.ok() && !ReadDetails(status, *response.mutable_free())) {
    return Explain("find", status);
  }
  if (client.options().json) {
    PrintJson(response);
  } else {
    Print(response);
  }
  return Explain("find", status);
}

}  // namespace tools::control
