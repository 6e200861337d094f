#include "tests/faults/host_picture.h"

#include <cstdarg>
#include <cstdio>
#include <map>
#include <sstream>

#include "ppc/registered_memory.h"
#include "tests/faults/open_descriptors.h"

namespace tests {
namespace {

using compat::vfio::ContainerState;
using compat::vfio::HostState;
using ioas::ArenaRef;

void AppendLine(std::string& picture, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

void AppendLine(std::string& picture, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  picture += line;
  picture += '\n';
}

void AppendMapping(std::string& picture, const char* what, const ioas::Mapping& mapping) {
  AppendLine(picture, "  %s %#llx-%#llx -> %#llx of %u, flags %#x%s", what,
             static_cast<unsigned long long>(mapping.first),
             static_cast<unsigned long long>(mapping.last),
             static_cast<unsigned long long>(mapping.user_address), mapping.owner, mapping.flags,
             mapping.extra != 0 ? ", more" : "");
}

void AppendWindows(std::string& picture, const ioas::AddressSpace& space) {
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (!space.HasWindow(number)) continue;
    const ioas::WindowState& window = space.window(number);
    AppendLine(picture, "  window %u %#llx-%#llx, pages of 1 << %u, %llu mapped", number,
               static_cast<unsigned long long>(window.range.first),
               static_cast<unsigned long long>(window.range.last), window.table.page_shift,
               static_cast<unsigned long long>(window.table.mapped));
    auto run = space.FindRun(number, window.range.first, window.range.last);
    while (run) {
      AppendMapping(picture, "run", *run);
      if (run->last == window.range.last) break;
      run = space.FindRun(number, run->last + 1, window.range.last);
    }
  }
}

void AppendContainer(std::string& picture, ioas::Arena arena, const ContainerState& container) {
  ioas::AddressSpace space(arena, container.space);
  const ioas::AddressSpace::Lock lock(space);
  AppendLine(picture,
             "container %u: type %u, groups %#llx, slot %u %s, dirty tracking %u, %u addresses "
             "invalid, %llu bytes",
             container.number, static_cast<unsigned>(container.type.load()),
             static_cast<unsigned long long>(container.groups), container.slot.load(),
             container.file_open != 0 ? "open" : "closed", container.dirty_tracking,
             container.invalid_addresses,
             static_cast<unsigned long long>(space.state().statistics.bytes_mapped));
  ioas::MappingIndex index = space.mappings();
  if (!index.Validate()) AppendLine(picture, "  the index is damaged");
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    AppendMapping(picture, "mapping", *mapping);
  }
  AppendWindows(picture, space);
}

void AppendRegisteredMemory(std::string& picture, ioas::Arena arena, const HostState& state) {
  if (!state.registered_memory) return;
  const ppc::RegisteredMemoryState& all = *arena.Get(state.registered_memory);
  for (auto each = all.first; each; each = arena.Get(each)->next) {
    ppc::ProcessMemory& memory = *arena.Get(each);
    // A container that has asked in vain is known here, too.
    if (memory.regions.size == 0) continue;
    AppendLine(picture, "memory of process %u: %llu bytes locked", memory.process,
               static_cast<unsigned long long>(memory.locked_bytes));
    ioas::MappingIndex regions(arena, &memory.regions);
    for (auto region = regions.FindFirstOverlapping(0, UINT64_MAX); region;
         region = regions.Next(region->first)) {
      AppendMapping(picture, "region", *region);
      AppendLine(picture, "    borrowed by %u", region->extra);
    }
  }
}

void AppendFiles(std::string& picture, const compat::vfio::Host& host) {
  for (uint32_t slot = 1; slot <= host.files().last_slot(); ++slot) {
    const compat::vfio::FileSlot& file = host.files().slot(slot);
    if (file.in_use == 0) continue;
    AppendLine(picture, "file %u: kind %u, object %u, position %llu", slot,
               static_cast<unsigned>(file.kind), file.object,
               static_cast<unsigned long long>(file.position));
  }
}

}  // namespace

std::string Difference(const std::string& before, const std::string& after) {
  std::map<std::string, int> lines;
  std::string line;
  for (std::istringstream all(before); std::getline(all, line);) ++lines[line];
  for (std::istringstream all(after); std::getline(all, line);) --lines[line];
  std::string difference;
  for (const auto& [text, count] : lines) {
    if (count != 0) difference += (count > 0 ? "- " : "+ ") + text + "\n";
  }
  return difference;
}

std::string PictureOf(compat::soft::TestHost& host) {
  std::string picture;
  ioas::ProcessTable processes = host.platform().processes();
  const auto process = processes.Register();
  AppendLine(picture, "%llu bytes locked, %d descriptors",
             static_cast<unsigned long long>(process.ok() ? processes.locked_bytes(*process) : 0),
             OpenDescriptors());
  const compat::vfio::Host::Lock lock(host.host());
  const HostState& state = host.host().state();
  const ioas::Arena arena = host.host().arena();
  for (uint32_t i = 0; i < state.group_count; ++i) {
    const compat::vfio::GroupState& group = state.groups[i];
    AppendLine(picture, "group %u: slot %u, %u devices open, container %u", group.number,
               group.slot, group.device_opens, group.container.unit);
  }
  for (uint32_t i = 0; i < state.device_count; ++i) {
    AppendLine(picture, "device %u: %u opens", i, state.devices[i].opens);
  }
  for (ArenaRef<ContainerState> each = state.containers; each; each = arena.Get(each)->next) {
    if (arena.Get(each)->in_use != 0) AppendContainer(picture, arena, *arena.Get(each));
  }
  AppendRegisteredMemory(picture, arena, state);
  AppendFiles(picture, host.host());
  return picture;
}

}  // namespace tests
