// Messages of the session channel, as tests make and read them.
#ifndef COMPAT_SESSION_TESTING_MESSAGE_H_
#define COMPAT_SESSION_TESTING_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "compat/session/channel.h"

namespace compat::session::testing {

// Bytes that came, or are to go, as one packet.
class Message {
 public:
  Message() = default;
  explicit Message(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  // A request without a body.
  explicit Message(Kind kind, uint64_t request = 0) : Message(kind, request, size_t{0}) {}
  // A request with a body.
  template <typename Body>
  requires std::is_class_v<Body> Message(Kind kind, const Body& body, uint64_t request = 0)
      : Message(kind, request, sizeof(Body)) {
    std::memcpy(bytes_.data() + sizeof(MessageHeader), &body, sizeof(Body));
  }

  std::vector<std::byte>& bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  // Whether it is a message at all.
  bool IsRight() const { return CheckMessage(bytes_) != nullptr; }
  MessageHeader& header() { return *reinterpret_cast<MessageHeader*>(bytes_.data()); }
  const MessageHeader& header() const {
    return *reinterpret_cast<const MessageHeader*>(bytes_.data());
  }
  Kind kind() const { return static_cast<Kind>(header().kind & ~kAnswerBit); }
  // The body; all zero if there is none of that size.
  template <typename Body>
  Body body() const {
    const Body* const here = BodyOf<Body>(bytes_);
    return here != nullptr ? *here : Body{};
  }
  // The `count` elements behind the body; none if they are not all there.
  template <typename Body, typename Element>
  std::vector<Element> elements(uint64_t count) const {
    const auto here = ArrayOf<Body, Element>(bytes_, count);
    return {here.begin(), here.end()};
  }

 private:
  Message(Kind kind, uint64_t request, size_t body_size)
      : bytes_(sizeof(MessageHeader) + body_size) {
    header() = {.magic = kMagic,
                .version = kVersion,
                .kind = static_cast<uint16_t>(kind),
                .size = static_cast<uint32_t>(bytes_.size()),
                .error = 0,
                .request = request};
  }

  std::vector<std::byte> bytes_;
};

}  // namespace compat::session::testing

#endif  // COMPAT_SESSION_TESTING_MESSAGE_H_
