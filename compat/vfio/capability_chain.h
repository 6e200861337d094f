// The chain of capabilities behind an info structure, as drivers/vfio/vfio_main.c builds it
// (vfio_info_cap_add, vfio_info_cap_shift).
#ifndef COMPAT_VFIO_CAPABILITY_CHAIN_H_
#define COMPAT_VFIO_CAPABILITY_CHAIN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "compat/abi/vfio_container.h"
#include "compat/decode/decode.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// Collects capabilities in order, each on a multiple of 8 bytes. `kCapacity` bytes must suffice.
template <size_t kCapacity>
class CapabilityChain {
 public:
  // `offset`: where the chain will begin, in bytes from the start of the info structure.
  explicit CapabilityChain(uint32_t offset) : offset_(offset) {}

  // Appends a capability: its structure, whose first member is an InfoCapHeader named `header` with
  // id and version set, and the `items` that follow it.
  template <typename Capability, typename Item = std::byte>
  void Add(const Capability& capability, std::span<const Item> items = {}) {
    if (size_ != 0) {
      const uint32_t next = offset_ + size_;
      std::memcpy(bytes_ + last_ + offsetof(abi::InfoCapHeader, next), &next, sizeof(next));
    }
    last_ = size_;
    std::memcpy(bytes_ + size_, &capability, sizeof(capability));
    std::copy_n(std::as_bytes(items).data(), items.size_bytes(),
                bytes_ + size_ + sizeof(capability));
    size_ += (sizeof(capability) + items.size_bytes() + 7) / 8 * 8;
  }

  uint32_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {bytes_, size_}; }

 private:
  uint32_t offset_;
  uint32_t size_ = 0;
  uint32_t last_ = 0;  // where the last capability begins
  alignas(8) std::byte bytes_[kCapacity] = {};
};

// What an info call does with its chain: copies it behind `info` (whose size is Info's) if the
// caller's argsz has room and sets cap_offset, or asks for a larger argsz. Then copies out the
// first min(argsz, sizeof info) bytes of `info`. EFAULT.
template <typename Info, size_t kCapacity>
ioas::Status CopyOutWithChain(const decode::DecodedCall& call, Info& info,
                              const CapabilityChain<kCapacity>& chain, uint32_t caps_flag) {
  const uint32_t size = std::min<uint32_t>(info.argsz, sizeof(Info));
  if (chain.size() != 0) {
    info.flags |= caps_flag;
    if (info.argsz < sizeof(Info) + chain.size()) {
      info.argsz = sizeof(Info) + chain.size();
    } else {
      IOAS_RETURN_IF_ERROR(call.memory->Write(call.argument + sizeof(Info), chain.bytes()));
      info.cap_offset = sizeof(Info);
    }
  }
  return call.CopyOut(info, size);
}

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_CAPABILITY_CHAIN_H_
