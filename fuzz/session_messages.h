// Packets of the session channel out of an input: right ones, nearly right ones, and anything.
#ifndef FUZZ_SESSION_MESSAGES_H_
#define FUZZ_SESSION_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "compat/session/channel.h"
#include "fuzz/input.h"

namespace fuzz {

using SessionPacket = std::vector<std::byte>;

// The bodies that requests have, in the order of their kinds from kPing on.
inline constexpr size_t kRequestBodies[] = {
    0,
    sizeof(compat::session::ListContainers),
    0,
    sizeof(compat::session::ContainerRef),
    sizeof(compat::session::ListMappings),
    sizeof(compat::session::Translate),
    sizeof(compat::session::Subscribe),
    sizeof(compat::session::Act),
    sizeof(compat::session::SetLimits),
    0,
    0,
    0,
    sizeof(compat::session::InjectFaults),
    sizeof(compat::session::Dirty),
    sizeof(compat::session::FindRange),
    sizeof(compat::session::ListContainers),
};

// A message with a right header.
inline SessionPacket MakeMessage(uint16_t kind, int32_t error, uint64_t request,
                                 std::span<const uint8_t> body) {
  SessionPacket packet(sizeof(compat::session::MessageHeader) + body.size());
  const compat::session::MessageHeader header = {.magic = compat::session::kMagic,
                                                 .version = compat::session::kVersion,
                                                 .kind = kind,
                                                 .size = static_cast<uint32_t>(packet.size()),
                                                 .error = error,
                                                 .request = request};
  std::memcpy(packet.data(), &header, sizeof(header));
  if (!body.empty()) std::memcpy(packet.data() + sizeof(header), body.data(), body.size());
  return packet;
}

// Some bytes, of a length that the input gives before them.
inline SessionPacket TakeAnything(Input& input) {
  const auto bytes = std::as_bytes(input.TakeBytes(input.Take<uint16_t>()));
  return {bytes.begin(), bytes.end()};
}

// `size` bytes: what the input has of them, and zeroes.
inline std::vector<uint8_t> TakeBody(Input& input, size_t size) {
  const std::span<const uint8_t> bytes = input.TakeBytes(size);
  std::vector<uint8_t> body(bytes.begin(), bytes.end());
  body.resize(size);
  return body;
}

}  // namespace fuzz

#endif  // FUZZ_SESSION_MESSAGES_H_
