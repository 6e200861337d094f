// Answers the daemon's requests from a host: packets in, packets out.
#ifndef COMPAT_SESSION_RESPONDER_H_
#define COMPAT_SESSION_RESPONDER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/session/channel.h"
#include "compat/vfio/host.h"
#include "ioas/base/result.h"

namespace compat::session {

class Writer;

// Looks at the host as the program does, under its locks, but waits for none for long: a thread of
// the program may hold one for ever. Used by one thread, with all signals blocked.
class Responder {
 public:
  // `host` outlives it. `wake`: an eventfd that is written when there are events to send (see
  // events::Rings).
  Responder(vfio::Host& host, int wake) : host_(host), wake_(wake) {}

  // Answers the request in `packet`, of this version, which CheckMessage let pass: writes the
  // answer to `answer`, of kMaxMessage bytes, and returns its size. Returns 0 if the message is
  // not right: the connection is to end.
  size_t Answer(std::span<const std::byte> packet, std::span<std::byte> answer);

 private:
  using Packet = std::span<const std::byte>;

  // Each answers one kind. EPROTO: the message is not right.
  ioas::Status Handle(Kind kind, Packet packet, Writer& answer);
  ioas::Status ListContainers(Packet packet, Writer& answer);
  ioas::Status ListIoases(Packet packet, Writer& answer);
  ioas::Status ListGroups(Writer& answer);
  ioas::Status GetAddressSpace(Packet packet, Writer& answer);
  ioas::Status ListMappings(Packet packet, Writer& answer);
  ioas::Status Translate(Packet packet, Writer& answer);
  ioas::Status FindRange(Packet packet, Writer& answer);
  ioas::Status Subscribe(Packet packet) const;
  ioas::Status Act(Packet packet, Writer& answer);
  ioas::Status SetLimits(Packet packet);
  static ioas::Status GetCounters(Writer& answer);
  ioas::Status ListFaults(Writer& answer);
  ioas::Status ClearFaults(Writer& answer);
  ioas::Status InjectFaults(Packet packet);
  ioas::Status Dirty(Packet packet, Writer& answer);
  ioas::Status ReadDirty(const session::Dirty& request, const vfio::ContainerContext& context,
                         Writer& answer) const;

  // The container of that number. Needs the host's lock. ENOENT.
  ioas::Result<vfio::ContainerState*> FindContainer(uint32_t number) const;
  // The same, if it has an IOMMU. ENODEV.
  ioas::Result<vfio::ContainerState*> FindContainerWithIommu(uint32_t number) const;
  // Returns what `function(space, devices)` does with the address space of that number, of a
  // container or of a context of iommufd, under the locks of the host, of the context and of the
  // address space. `devices`: the context's, by which reserved ranges name their owners. EBUSY if a
  // lock is held, else as FindContainerWithIommu.
  template <typename Function>
  ioas::Status WithSpace(uint32_t number, Function function) const;
  ioas::Status Describe(const vfio::ContainerState& container, ContainerInfo& info) const;
  MappingInfo InfoOf(const ioas::Mapping& mapping) const;

  vfio::Host& host_;
  int wake_;
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_RESPONDER_H_
