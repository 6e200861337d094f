// IOMMU_IOAS_CHANGE_PROCESS: another process answers for what is mapped. Behaviour:
// iommufd_ioas_change_process in drivers/iommu/iommufd/ioas.c.
#include <cerrno>
#include <optional>

#include "compat/abi/iommufd.h"
#include "compat/native/calls.h"
#include "compat/vfio/platform.h"
#include "ioas/file_table.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::FileTable;
using ioas::Mapping;
using ioas::ProcessTable;
using ioas::Result;
using ioas::Status;

namespace {

// One call on its way. The context's lock keeps mappings where they are; devices go on.
class ChangeOfProcess {
 public:
  ChangeOfProcess(const Context& context, uint32_t process)
      : context_(context),
        processes_(context.host().platform().processes()),
        files_(processes_),
        process_(process) {}

  Status Run() {
    IOAS_RETURN_IF_ERROR(CheckFiles());
    IOAS_RETURN_IF_ERROR(EnterFiles());
    if (const Status locked = processes_.LockMemory(LockedElsewhere(), nullptr); !locked.ok()) {
      LeaveFiles(std::nullopt);
      return locked;
    }
    ForEachMapping([this](AddressSpace& space, const Mapping& mapping) {
      Change(space, mapping);
      return true;
    });
    return {};
  }

 private:
  struct Place {
    const ioas::AddressSpaceState* space;
    uint64_t first;
  };

  // Calls `visit` with each mapping and its address space, which is locked, until it returns false.
  template <typename Visit>
  void ForEachMapping(Visit visit) {
    for (const uint32_t id : context_.objects().ids()) {
      const IoasState* const ioas = context_.FindIoas(id);
      if (ioas == nullptr) continue;
      AddressSpace space = context_.SpaceOf(*ioas);
      const AddressSpace::Lock lock(space);
      ioas::MappingIndex index = space.mappings();
      for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
           mapping = index.Next(mapping->first)) {
        if (!visit(space, *mapping)) return;
      }
    }
  }

  bool IsElsewhere(const Mapping& mapping) const {
    return files_.process(mapping.owner) != process_;
  }

  Status CheckFiles() {
    bool all_files = true;
    ForEachMapping([&](AddressSpace&, const Mapping& mapping) {
      all_files = all_files && FileTable::IsFile(mapping.owner);
      return all_files;
    });
    if (all_files) return {};
    return Error{EINVAL, "a mapping is of a process's memory, which cannot change hands"};
  }

  // Enters each file for this process, once for each mapping of it.
  Status EnterFiles() {
    Status entered;
    std::optional<Place> refused;
    ForEachMapping([&](AddressSpace& space, const Mapping& mapping) {
      if (!IsElsewhere(mapping)) return true;
      const Result<uint32_t> file = files_.Enter(files_.identity(mapping.owner), process_);
      if (file.ok()) return true;
      entered = file.error();
      refused = Place{&space.state(), mapping.first};
      return false;
    });
    if (refused) LeaveFiles(refused);
    return entered;
  }

  // Undoes EnterFiles, as far as it came.
  void LeaveFiles(const std::optional<Place>& end) {
    ForEachMapping([&](AddressSpace& space, const Mapping& mapping) {
      if (end && &space.state() == end->space && mapping.first == end->first) return false;
      if (!IsElsewhere(mapping)) return true;
      files_.Release(*files_.Find(files_.identity(mapping.owner), process_));
      return true;
    });
  }

  // How much of what other processes have locked this one is to answer for.
  uint64_t LockedElsewhere() {
    uint64_t bytes = 0;
    ForEachMapping([&](const AddressSpace& space, const Mapping& mapping) {
      const bool is_locked = space.state().domain_count != 0;
      if (is_locked && IsElsewhere(mapping)) bytes += mapping.last - mapping.first + 1;
      return true;
    });
    return bytes;
  }

  void Change(AddressSpace& space, const Mapping& mapping) {
    if (!IsElsewhere(mapping)) return;
    const uint32_t before = mapping.owner;
    const uint32_t after = *files_.Find(files_.identity(before), process_);
    if (space.state().domain_count != 0) {
      processes_.UnlockMemory(files_.process(before), mapping.last - mapping.first + 1);
    }
    space.mappings().Update(mapping.first, [&](Mapping& changed) { changed.owner = after; });
    files_.Release(before);
  }

  const Context& context_;
  ProcessTable processes_;
  FileTable files_;
  uint32_t process_;
};

}  // namespace

Status IoasChangeProcess(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::IoasChangeProcess>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return Error{EOPNOTSUPP, "a reserved field is not 0"};
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  {
    const Context context(caller);
    IOAS_RETURN_IF_ERROR(ChangeOfProcess(context, *process).Run());
  }
  return Respond(call, *command);
}

}  // namespace compat::native
