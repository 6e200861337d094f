// An answer that is being written. Internal to this folder.
#ifndef COMPAT_SESSION_WRITER_H_
#define COMPAT_SESSION_WRITER_H_

#include <cstring>
#include <span>

#include "compat/session/channel.h"
#include "ioas/base/result.h"

namespace compat::session {

// Writes into a buffer of kMaxMessage bytes, which outlives it.
class Writer {
 public:
  // A message of `kind`: with the request's number, where it answers one.
  Writer(std::span<std::byte> out, uint16_t kind, uint64_t request) : out_(out) {
    const MessageHeader header = {.magic = kMagic,
                                  .version = kVersion,
                                  .kind = kind,
                                  .size = 0,
                                  .error = 0,
                                  .request = request};
    std::memcpy(out_.data(), &header, sizeof(header));
  }

  // Adds a part, all zero: the body first, then the elements behind it. Null if the message is
  // full, which bodies never make it.
  template <typename Part>
  Part* Add() {
    if (kMaxMessage - size_ < sizeof(Part)) return nullptr;
    auto* const part = reinterpret_cast<Part*>(out_.data() + size_);
    std::memset(static_cast<void*>(part), 0, sizeof(Part));
    size_ += sizeof(Part);
    return part;
  }
  // The parts are followed by `bytes` more, which were written in place.
  void Grow(size_t bytes) { size_ += bytes; }
  // The last `bytes` are not wanted.
  void Shrink(size_t bytes) { size_ -= bytes; }
  // How many more parts fit.
  template <typename Part>
  size_t Room() const {
    return (kMaxMessage - size_) / sizeof(Part);
  }
  // Drops all parts, for a refusal.
  void Refuse(const ioas::Error& error) {
    size_ = sizeof(MessageHeader);
    header().error = error.code;
    CopyReason(Add<Refusal>()->reason, error.reason);
  }
  // Returns the message's size.
  size_t Finish() {
    header().size = static_cast<uint32_t>(size_);
    return size_;
  }

  // Copies a line into a field that ends with a zero.
  template <size_t kSize>
  static void CopyReason(char (&field)[kSize], const char* text) {
    std::strncpy(field, text, kSize - 1);
    field[kSize - 1] = '\0';
  }

 private:
  MessageHeader& header() { return *reinterpret_cast<MessageHeader*>(out_.data()); }

  std::span<std::byte> out_;
  size_t size_ = sizeof(MessageHeader);
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_WRITER_H_
