#include "fuzz/sequence/reference.h"

#include <algorithm>
#include <cerrno>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_group.h"

namespace fuzz::sequence {
namespace {

namespace abi = compat::abi;

// What each device says of itself.
constexpr uint32_t kRegions = 9;
constexpr uint32_t kIrqs = 5;

}  // namespace

const ReferenceContainer* Reference::ContainerOf(Slot name) const {
  const auto& file = files_[static_cast<size_t>(name)];
  return file != nullptr ? file->container.get() : nullptr;
}

void Reference::CloseAll() {
  for (size_t name = 0; name < kSlots; ++name) Close(static_cast<Slot>(name));
}

long Reference::Make(const Step& step, Request& request) {
  switch (step.op) {
    case Op::kOpenContainer:
      FileOf(step.fd) = std::make_shared<File>(
          File{FileKind::kContainer, 0, std::make_shared<ReferenceContainer>()});
      return 0;
    case Op::kOpenGroup:
      return OpenGroup(step.fd, static_cast<uint32_t>(step.values[0]));
    case Op::kClose:
      return Close(step.fd);
    case Op::kDup:
      FileOf(step.other) = FileOf(step.fd);
      return FileOf(step.fd) != nullptr ? 0 : -EBADF;
    case Op::kSetContainer:
      return SetContainer(step.fd, step.other);
    case Op::kGetDevice:
      return GetDevice(step.fd, step.other, static_cast<uint32_t>(step.values[0]));
    default: {
      const std::shared_ptr<File> called = FileOf(step.fd);
      return called != nullptr ? Ioctl(*called, request) : -EBADF;
    }
  }
}

// /dev/vfio/NUMBER is there for groups that have devices, and can be opened once: by whoever has
// its descriptor or one of a device of its.
long Reference::OpenGroup(Slot name, uint32_t number) {
  if (number >= (kind_ == Kind::kMixed ? 2u : 1u)) return -ENOENT;
  ReferenceGroup& group = groups_[number];
  if (group.is_open || group.open_devices != 0) return -EBUSY;
  group.is_open = true;
  FileOf(name) = std::make_shared<File>(File{FileKind::kGroup, number, nullptr});
  return 0;
}

long Reference::Close(Slot name) {
  const std::shared_ptr<File> file = std::move(FileOf(name));
  FileOf(name) = nullptr;
  if (file == nullptr) return -EBADF;
  if (file.use_count() > 1) return 0;
  if (file->kind == FileKind::kGroup) {
    groups_[file->number].is_open = false;
    EndGroupIfUnused(file->number);
  }
  if (file->kind == FileKind::kDevice) {
    const uint32_t group = GroupOfDevice(file->number);
    --groups_[group].open_devices;
    // A device that nobody has is reset, and its group recovers.
    if (--device_opens_[file->number] == 0) Thaw(groups_[group]);
    EndGroupIfUnused(group);
  }
  return 0;
}

// Devices keep their group open, and an open group keeps its container.
void Reference::EndGroupIfUnused(uint32_t number) {
  ReferenceGroup& group = groups_[number];
  if (!group.is_open && group.open_devices == 0 && group.container != nullptr) Detach(number);
}

long Reference::Ioctl(const File& file, Request& request) {
  switch (file.kind) {
    case FileKind::kContainer:
      return ContainerCall(*file.container, request);
    case FileKind::kGroup:
      return GroupCall(file.number, request);
    default:
      return DeviceCall(request);
  }
}

long Reference::GroupCall(uint32_t number, Request& request) {
  switch (request.number) {
    case 3:
      return GroupStatus(number, request);
    case 4:
    case 6:  // raw: without a descriptor, without a name
      return -EFAULT;
    case 5:
      return UnsetContainer(number);
    default:
      return -ENOTTY;
  }
}

long Reference::GroupStatus(uint32_t number, Request& request) const {
  if (request.structure.empty()) return -EFAULT;
  auto status = request.As<abi::GroupStatus>();
  if (status.argsz < sizeof(status)) return -EINVAL;
  status.flags = groups_[number].container != nullptr ? 3 : 1;
  request.Put(status);
  return 0;
}

long Reference::SetContainer(Slot name, Slot given) {
  const std::shared_ptr<File>& file = FileOf(name);
  if (file == nullptr) return -EBADF;
  if (file->kind == FileKind::kContainer)
    return file->container->type != kNoType ? -ENOTTY : -EINVAL;
  if (file->kind != FileKind::kGroup) return -ENOTTY;
  const std::shared_ptr<File>& other = FileOf(given);
  if (other == nullptr && given != Slot::kNull) return -EBADF;
  ReferenceGroup& group = groups_[file->number];
  if (group.container != nullptr) return -EINVAL;
  if (other == nullptr || other->kind != FileKind::kContainer) return -EBADFD;
  ReferenceContainer& container = *other->container;
  // A mapping without its address could not be made for another group's IOMMU.
  for (const auto& [iova, mapping] : container.mappings) {
    if (mapping.has_lost_address) return -EBUSY;
  }
  // Version 1's table is a group's own.
  if (container.type == kSpaprV1) return -EBUSY;
  group.container = other->container;
  // Each comes first. SET_IOMMU goes through them so, and puts each first again.
  const bool has_iommu = container.type != kNoType;
  container.groups.insert(has_iommu ? container.groups.begin() : container.groups.end(),
                          file->number);
  return 0;
}

long Reference::UnsetContainer(uint32_t number) {
  const ReferenceGroup& group = groups_[number];
  if (group.container == nullptr) return -EINVAL;
  if (group.open_devices != 0) return -EBUSY;
  Detach(number);
  return 0;
}

// The last group takes the IOMMU with it.
void Reference::Detach(uint32_t number) {
  const std::shared_ptr<ReferenceContainer> container = std::move(groups_[number].container);
  groups_[number].container = nullptr;
  Thaw(groups_[number]);
  std::erase(container->groups, number);
  if (container->groups.empty()) CloseIommu(*container);
}

long Reference::GetDevice(Slot name, Slot as, uint32_t device) {
  const std::shared_ptr<File> file = FileOf(name);
  FileOf(as) = nullptr;
  if (file == nullptr) return -EBADF;
  if (file->kind == FileKind::kContainer)
    return file->container->type != kNoType ? -ENOTTY : -EINVAL;
  if (file->kind != FileKind::kGroup) return -ENOTTY;
  if (device > 2 || GroupOfDevice(device) != file->number) return -ENODEV;
  ReferenceGroup& group = groups_[file->number];
  if (group.container == nullptr || group.container->type == kNoType) return -EINVAL;
  ++group.open_devices;
  if (++device_opens_[device] == 1) Thaw(group);
  FileOf(as) = std::make_shared<File>(File{FileKind::kDevice, device, nullptr});
  return 0;
}

long Reference::DeviceCall(Request& request) {
  switch (request.number) {
    case 7: {
      if (request.structure.empty()) return -EFAULT;
      const auto argsz = request.As<uint32_t>();
      if (argsz < 16) return -EINVAL;
      const abi::DeviceInfo info = {
          argsz, abi::kDeviceFlagsPci | abi::kDeviceFlagsReset, kRegions, kIrqs, 0, 0};
      request.Put(info, std::min<size_t>(argsz, sizeof(info)));
      return 0;
    }
    case 8:
    case 9:
    case 10:
    case 12:
    case 13:
    case 17:
      return -EFAULT;
    case 11:
      return 0;
    default:
      return -ENOTTY;
  }
}

// The drivers of IOMMUs that a machine has.
bool Reference::Offers(uint32_t family) const {
  return kind_ == Kind::kMixed || (kind_ == Kind::kType1) == (family == kType1V1);
}

long Reference::CheckExtension(const ReferenceContainer& container, uint64_t extension) const {
  const bool is_type1 = container.type == kType1V1 || container.type == kType1V2;
  const bool has_none = container.type == kNoType;
  const bool asks_type1 = is_type1 || (has_none && Offers(kType1V1));
  const bool asks_spapr = !is_type1 && Offers(kSpaprV1);
  switch (extension) {
    case 1:
    case 3:
    case 9:
      return asks_type1 ? 1 : 0;
    case 10:  // not before there is a container to look at
      return is_type1 ? 1 : 0;
    case 2:
    case 5:
    case 7:
      return asks_spapr ? 1 : 0;
    default:
      return 0;
  }
}

// A driver that has the extension is asked to make a container of it, which it may not be able to.
long Reference::SetIommu(ReferenceContainer& container, uint64_t type) const {
  if (container.groups.empty() || container.type != kNoType) return -EINVAL;
  if (CheckExtension(container, type) == 0) return -ENODEV;
  if (type == 5 || type == 9) return -EINVAL;
  // Version 1's table is a group's own.
  if (type == kSpaprV1 && container.groups.size() > 1) return -EBUSY;
  container.type = static_cast<uint32_t>(type);
  container.is_default_pending = type == kSpaprV1 || type == kSpaprV2;
  return 0;
}

void Reference::CloseIommu(ReferenceContainer& container) {
  CloseSpapr(container);
  container.mappings.clear();
  container.is_tracking = false;
  container.type = kNoType;
}

long Reference::ContainerCall(ReferenceContainer& container, Request& request) {
  switch (request.number) {
    case 0:
      return 0;
    case 1:
      return CheckExtension(container, request.argument);
    case 2:
      return SetIommu(container, request.argument);
    default:
      break;
  }
  if (container.type == kNoType) return -EINVAL;
  const bool is_type1 = container.type == kType1V1 || container.type == kType1V2;
  return is_type1 ? Type1Call(container, request) : SpaprCall(container, request);
}

}  // namespace fuzz::sequence
