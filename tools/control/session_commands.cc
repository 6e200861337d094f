// ps and show.
#include <pwd.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/print.h"
#include "tools/control/table.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

std::string UserName(uint32_t uid) {
  const passwd* const user = getpwuid(uid);
  return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string AgeOf(const v1::Session& session) {
  return Age(std::time(nullptr) - session.start_time().seconds());
}

const char* BackendName(v1::Backend backend) {
  switch (backend) {
    case v1::BACKEND_SOFTWARE:
      return "soft";
    case v1::BACKEND_KERNEL:
      return "kernel";
    default:
      return "?";
  }
}

void PrintSession(const v1::Session& session) {
  std::printf("session %s  %s\n", session.id().c_str(), Printable(session.command()).c_str());
  std::printf("  process %d of %s, for %s, on the %s backend, host %s%s\n", session.pid(),
              UserName(session.uid()).c_str(), AgeOf(session).c_str(),
              BackendName(session.backend()), session.host().c_str(),
              session.is_responsive() ? "" : ", does not answer");
}

std::string LimitsText(const v1::Limits& limits) {
  std::string text;
  const auto add = [&text](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  if (limits.mapped_bytes() != 0) add(Bytes(limits.mapped_bytes()));
  if (limits.mapping_count() != 0) add(Count(limits.mapping_count()) + " mappings");
  for (const v1::Range& range : limits.allowed_iovas()) add(HexRange(range.first(), range.last()));
  for (const int type : limits.types()) add(TypeName(static_cast<v1::ContainerType>(type)));
  return text;
}

void PrintContainer(const v1::Container& container) {
  std::printf("  container %u: %s, opened by process %d%s%s\n", container.number(),
              TypeName(container.type()).c_str(), container.opener_pid(),
              container.is_frozen() ? ", frozen" : "", container.is_revoked() ? ", revoked" : "");
  std::printf("    %s mapped in %s mappings\n", Bytes(container.mapped_bytes()).c_str(),
              Count(container.mapping_count()).c_str());
  const std::string limits = LimitsText(container.limits());
  if (!limits.empty()) std::printf("    limited to %s\n", limits.c_str());
  if (container.unknown_calls() != 0) {
    std::printf("    %s unknown calls\n", Count(container.unknown_calls()).c_str());
  }
}

void PrintIoas(const v1::Ioas& ioas) {
  std::printf("  ioas %s: object %u of context %u, opened by process %d\n",
              Hex(ioas.number()).c_str(), ioas.object(), ioas.context(), ioas.opener_pid());
  std::printf("    %s mapped in %s mappings\n", Bytes(ioas.mapped_bytes()).c_str(),
              Count(ioas.mapping_count()).c_str());
  for (const uint32_t group : ioas.groups()) std::printf("    group %u is attached\n", group);
}

void PrintGroup(const v1::SessionGroup& group) {
  std::printf("  group %u%s%s:", group.number(), group.is_frozen() ? ", frozen" : "",
              group.is_in_error() ? ", in error" : "");
  for (const std::string& device : group.devices()) std::printf(" %s", Printable(device).c_str());
  if (group.container() != 0) std::printf(", in container %u", group.container());
  std::printf("\n");
}

void PrintAddressSpace(const v1::AddressSpace& space) {
  for (const v1::Range& range : space.apertures()) {
    std::printf("    aperture %s\n", HexRange(range.first(), range.last()).c_str());
  }
  for (const v1::ReservedRange& reserved : space.reserved()) {
    std::printf("    reserved %s for %s\n",
                HexRange(reserved.range().first(), reserved.range().last()).c_str(),
                reserved.owner().empty() ? "the IOMMU" : Printable(reserved.owner()).c_str());
  }
  for (const v1::Window& window : space.windows()) {
    std::printf("    window %s, pages of %s, %s of them mapped, table of %s\n",
                HexRange(window.range().first(), window.range().last()).c_str(),
                Bytes(window.page_size()).c_str(), Count(window.mapped_pages()).c_str(),
                Bytes(window.table_bytes()).c_str());
  }
  const v1::Statistics& statistics = space.statistics();
  std::printf("    mapped %s times, unmapped %s times\n", Count(statistics.maps()).c_str(),
              Count(statistics.unmaps()).c_str());
  if (statistics.dma_read_bytes() + statistics.dma_written_bytes() + statistics.faults() != 0) {
    std::printf("    DMA: %s read, %s written, %s faults\n",
                Bytes(statistics.dma_read_bytes()).c_str(),
                Bytes(statistics.dma_written_bytes()).c_str(), Count(statistics.faults()).c_str());
  }
}

// The same of a container or an IOAS.
void PrintAddressSpace(const Client& client, const std::string& session, uint32_t number) {
  v1::GetAddressSpaceRequest request;
  request.set_session(session);
  request.set_container(number);
  v1::AddressSpace space;
  const grpc::Status status =
      client.Call<v1::AddressSpaces>(&v1::AddressSpaces::Stub::GetAddressSpace, request, &space);
  // The program may have closed it meanwhile.
  if (status.ok()) PrintAddressSpace(space);
}

}  // namespace

Failure Ps(const Client& client, const CommandOptions& options) {
  std::vector<v1::Session> sessions;
  if (Failure failure = client.ListSessions(sessions)) return failure;
  if (client.options().json) {
    v1::ListSessionsResponse all;
    for (const v1::Session& session : sessions) *all.add_sessions() = session;
    PrintJson(all);
    return {};
  }
  if (options.quiet) {
    for (const v1::Session& session : sessions) std::printf("%s\n", session.id().c_str());
    return {};
  }
  Table table({{"SESSION"},
               {.title = "PID", .is_right_aligned = true},
               {"USER"},
               {"BACKEND"},
               {.title = "AGE", .is_right_aligned = true},
               {.title = "COMMAND", .may_shrink = true}});
  for (const v1::Session& session : sessions) {
    table.AddRow({session.id(), std::to_string(session.pid()), UserName(session.uid()),
                  BackendName(session.backend()), AgeOf(session), session.command()});
  }
  std::fputs(table.Text(Terminal::OfStandardOutput()).c_str(), stdout);
  return {};
}

Failure Show(const Client& client, const CommandOptions& options) {
  std::string id;
  v1::Session session;
  if (Failure failure = client.FindSession(options.session, id)) return failure;
  if (Failure failure = client.GetSession(id, session)) return failure;
  if (client.options().json) {
    PrintJson(session);
    return {};
  }
  PrintSession(session);
  for (const v1::Container& container : session.containers()) {
    PrintContainer(container);
    if (container.type() == v1::CONTAINER_TYPE_UNSPECIFIED) continue;
    PrintAddressSpace(client, id, container.number());
  }
  for (const v1::Ioas& ioas : session.ioases()) {
    PrintIoas(ioas);
    PrintAddressSpace(client, id, ioas.number());
  }
  for (const v1::SessionGroup& group : session.groups()) PrintGroup(group);
  return {};
}

}  // namespace tools::control
