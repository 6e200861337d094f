// The BARs that this process has mapped.
#ifndef COMPAT_PRELOAD_BAR_MAPPINGS_H_
#define COMPAT_PRELOAD_BAR_MAPPINGS_H_

#include <cstddef>
#include <cstdint>

namespace compat::preload {

// Whether any is mapped. Cheap.
bool AnyBarMapped();

// Makes room for one more, or for what OnBarUnmap with these arguments is to keep. False if there
// is no memory for that. Each PrepareBarMapping is followed by OnBarMapped or CancelBarMapping.
bool PrepareBarMapping();
void CancelBarMapping();
bool PrepareBarUnmap(void* address, size_t size);

// [address, address + size) was mapped from the device file `slot`.
void OnBarMapped(uint32_t slot, void* address, size_t size, bool writable);
// [address, address + size) is about to be unmapped, or moved: its device no longer watches it.
// Afterwards, EndBarMappings tells the host whose files may have ended with it.
void OnBarUnmap(void* address, size_t size);
void EndBarMappings();

// Around a fork.
void HoldBarMappings();
void ReleaseBarMappings();
// In a forked child: has its stores to the BARs that it inherited wake their devices, should it
// never make a call.
void WatchInheritedBars();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_BAR_MAPPINGS_H_
