#include "compat/vfs/view.h"

#include <sys/stat.h>

#include <charconv>
#include <system_error>

#include "compat/vfs/text.h"

namespace compat::vfs {
namespace {

// A NodeId is 1 + its row, and the device that its placeholders are filled from: the first one that
// fills them the same, so that a node has one number. Where groups are real, a group's number
// stands for the device, so that what is plugged and unplugged changes no other node's number.
constexpr uint32_t kDeviceBits = 20;
static_assert(kMaxGroups <= 1U << kDeviceBits);

constexpr size_t kNoDevice = SIZE_MAX;

constexpr NodeId MakeId(size_t row, size_t device) {
  return static_cast<NodeId>((row + 1) << kDeviceBits | device);
}

constexpr size_t RowIndex(NodeId id) { return (id >> kDeviceBits) - 1; }
constexpr size_t DeviceIndex(NodeId id) { return id & ((1U << kDeviceBits) - 1); }
const Row& RowOf(NodeId id) { return Rows()[RowIndex(id)]; }

// Far from the numbers that sysfs and devtmpfs count up from.
constexpr uint64_t InodeOf(NodeId id) { return uint64_t{1} << 40 | id; }

constexpr uint32_t kMiscMajor = 10;        // MISC_MAJOR
constexpr uint32_t kIommufdMinor = 262;    // MISC_DYNAMIC_MINOR: of those that the kernel chooses
constexpr uint32_t kContainerMinor = 196;  // VFIO_MINOR of include/linux/miscdevice.h

uint32_t ModeOf(NodeKind kind) {
  switch (kind) {
    case NodeKind::kNone:
      return 0;
    case NodeKind::kDirectory:
      return S_IFDIR | 0755;
    case NodeKind::kFile:
      return S_IFREG | 0444;
    case NodeKind::kLink:
      return S_IFLNK | 0777;
    case NodeKind::kContainer:
      return S_IFCHR | 0666;
    case NodeKind::kGroup:
    case NodeKind::kCdev:
      return S_IFCHR | 0600;
    case NodeKind::kIommufd:
      return S_IFCHR | 0660;
  }
  return 0;
}

// As vfio_create_group() of drivers/vfio/group.c names a group's node.
constexpr std::string_view kNoiommuPrefix = "noiommu-";

// Whether `name` is put together as the kernel's names of mediated devices are.
bool LooksLikeUuid(std::string_view name) {
  return name.size() == 36 && name[8] == '-' && name[13] == '-' && name[18] == '-' &&
         name[23] == '-';
}

// Whether real groups like `group` fill the placeholder in a listing.
bool Fills(Placeholder placeholder, const GroupView& group) {
  switch (placeholder) {
    case Placeholder::kGroup:
      return !group.is_noiommu;
    case Placeholder::kNoiommu:
      return group.is_noiommu;
    case Placeholder::kMadeUp:
    case Placeholder::kMediated:
      return group.number >= kFirstMadeUpGroup;
    default:
      return false;
  }
}

void AppendForDevice(Placeholder placeholder, const DeviceView& device, Text* text) {
  switch (placeholder) {
    case Placeholder::kBus:
      return text->Format("pci%04x:%02x", device.domain, device.bus);
    case Placeholder::kGroup:
      return text->Format("%u", device.group);
    case Placeholder::kDevice:
      return text->Format("%04x:%02x:%02x.%x", device.domain, device.bus, device.device,
                          device.function);
    default:
      return;
  }
}

}  // namespace

NodeId View::Root() { return MakeId(0, 0); }

NodeKind View::Kind(NodeId id) const { return id == kNoNode ? NodeKind::kNone : RowOf(id).kind; }

bool View::IsMerged(NodeId id) const {
  return id != kNoNode && RowOf(id).merging == Merging::kMerged;
}

Node View::Describe(NodeId id) const {
  if (id == kNoNode) return {};
  const Row& row = RowOf(id);
  Node node{.id = id, .kind = row.kind, .merged = IsMerged(id), .mode = ModeOf(row.kind)};
  node.inode = InodeOf(id);
  node.in_dev = row.pattern.starts_with("/dev");
  char content[kMaxContent];
  switch (row.kind) {
    case NodeKind::kDirectory:
      node.links = CountLinks(id);
      break;
    case NodeKind::kFile:
      node.size = row.write_content == WriteConfig ? Content(id, content) : kMaxContent;
      break;
    case NodeKind::kContainer:
      node.major = kMiscMajor;
      node.minor = kContainerMinor;
      break;
    case NodeKind::kGroup:
      node.major = kGroupMajor;
      node.minor = static_cast<uint32_t>(DeviceIndex(id));
      node.group = real_ != nullptr ? node.minor : inventory_.device(DeviceIndex(id)).group;
      break;
    case NodeKind::kIommufd:
      node.major = kMiscMajor;
      node.minor = kIommufdMinor;
      break;
    case NodeKind::kCdev:
      node.major = kCdevMajor;
      node.minor = static_cast<uint32_t>(DeviceIndex(id));
      node.device = node.minor;
      break;
    default:
      break;
  }
  return node;
}

NodeId View::Child(NodeId id, std::string_view name) const {
  for (size_t row = 1; row < Rows().size(); ++row) {
    if (Rows()[row].parent != RowIndex(id)) continue;
    if (const NodeId child = ChildOfRow(id, row, name); child != kNoNode) return child;
  }
  return kNoNode;
}

NodeId View::ChildOfRow(NodeId id, size_t row_index, std::string_view name) const {
  const Row& row = Rows()[row_index];
  if (row.placeholder == Placeholder::kNone) {
    return row.name == name && IsPresent(row) ? MakeId(row_index, DeviceIndex(id)) : kNoNode;
  }
  if (!IsPresent(row)) return kNoNode;
  if (real_ != nullptr) return RealChild(id, row_index, name);
  for (size_t device = NextDevice(id, row_index, 0); device != kNoDevice;
       device = NextDevice(id, row_index, device + 1)) {
    char buffer[NAME_MAX + 1];
    Text text(buffer);
    AppendName(row, device, &text);
    if (text.view() == name) return MakeId(row_index, device);
  }
  return kNoNode;
}

NodeId View::RealChild(NodeId id, size_t row, std::string_view name) const {
  uint32_t number = 0;
  if (!FindReal(Rows()[row].placeholder, name, &number)) return kNoNode;
  const bool is_elsewhere =
      RowOf(id).scope != Placeholder::kNone && number != static_cast<uint32_t>(DeviceIndex(id));
  return is_elsewhere ? kNoNode : MakeId(row, number);
}

// Finds the group that fills a placeholder with `name`. Asks for one group, where a listing would
// have to look at all.
bool View::FindReal(Placeholder placeholder, std::string_view name, uint32_t* number) const {
  if (placeholder == Placeholder::kMediated) {
    return LooksLikeUuid(name) && real_->FindMediated(name, number) && *number < kMaxGroups;
  }
  if (placeholder == Placeholder::kNoiommu) {
    if (!name.starts_with(kNoiommuPrefix)) return false;
    name.remove_prefix(kNoiommuPrefix.size());
  }
  const char* const end = name.data() + name.size();
  const auto [stopped, error] = std::from_chars(name.data(), end, *number);
  const bool has_leading_zero = name.size() > 1 && name.front() == '0';
  if (error != std::errc() || stopped != end || has_leading_zero) return false;
  if (placeholder == Placeholder::kMadeUp && *number < kFirstMadeUpGroup) return false;
  GroupView group;
  return *number < kMaxGroups && real_->Find(*number, &group) && Fills(placeholder, group);
}

NodeId View::Descendant(NodeId id, std::string_view path, size_t* size) const {
  if (real_ == nullptr) return kNoNode;
  size_t row = 1;
  while (row < Rows().size() && !(Rows()[row].parent == RowIndex(id) &&
                                  Rows()[row].placeholder == Placeholder::kMediatedPath)) {
    ++row;
  }
  if (row == Rows().size()) return kNoNode;
  for (size_t start = 0, end = 0; end < path.size(); start = end + 1) {
    end = std::min(path.find('/', start), path.size());
    uint32_t number = 0;
    if (!FindReal(Placeholder::kMediated, path.substr(start, end - start), &number)) continue;
    char own_path[kMaxMediatedPath];
    real_->MediatedPath(number, own_path);
    *size = end;
    if (path.substr(0, end) == own_path) return MakeId(row, number);
  }
  return kNoNode;
}

bool View::IsDescendant(NodeId id) const {
  return id != kNoNode && RowOf(id).placeholder == Placeholder::kMediatedPath;
}

NodeId View::Parent(NodeId id) const {
  const size_t parent = RowOf(id).parent;
  return MakeId(parent, FirstWithKey(Rows()[parent].scope, DeviceIndex(id)));
}

bool View::List(NodeId id, uint64_t* cursor, Entry* entry) const {
  size_t first_device = *cursor & ((1U << kDeviceBits) - 1);
  for (size_t row = *cursor >> kDeviceBits; row < Rows().size(); ++row, first_device = 0) {
    // The root is listed nowhere, though it is in itself.
    if (row == 0 || Rows()[row].parent != RowIndex(id) || !IsPresent(Rows()[row])) continue;
    if (ListRow(id, row, first_device, cursor, entry)) return true;
  }
  *cursor = static_cast<uint64_t>(Rows().size()) << kDeviceBits;
  return false;
}

// Lists the nodes of one row that are in directory `id`, from device `first_device` on.
bool View::ListRow(NodeId id, size_t row, size_t first_device, uint64_t* cursor,
                   Entry* entry) const {
  const bool is_fixed = Rows()[row].placeholder == Placeholder::kNone;
  if (is_fixed && first_device != 0) return false;
  const size_t next = is_fixed ? 0 : NextDevice(id, row, first_device);
  if (next == kNoDevice) return false;
  const size_t device = is_fixed ? DeviceIndex(id) : next;
  Text name(entry->name);
  AppendName(Rows()[row], device, &name);
  entry->id = MakeId(row, device);
  entry->kind = Rows()[row].kind;
  entry->inode = InodeOf(entry->id);
  *cursor = (static_cast<uint64_t>(row) << kDeviceBits) + next + 1;
  return true;
}

// The first device from `first_device` on that has a node of its own in row `row` of directory
// `id`, or kNoDevice.
size_t View::NextDevice(NodeId id, size_t row, size_t first_device) const {
  if (real_ != nullptr) return NextReal(id, Rows()[row].placeholder, first_device);
  for (size_t device = first_device; device < inventory_.device_count(); ++device) {
    if (SharesKey(RowOf(id).scope, device, DeviceIndex(id)) &&
        FirstWithKey(Rows()[row].placeholder, device) == device) {
      return device;
    }
  }
  return kNoDevice;
}

// The same where groups are real.
size_t View::NextReal(NodeId id, Placeholder placeholder, size_t first) const {
  if (placeholder == Placeholder::kMadeUp || placeholder == Placeholder::kMediated) {
    first = std::max<size_t>(first, kFirstMadeUpGroup);
  }
  const bool is_scoped = RowOf(id).scope != Placeholder::kNone;
  GroupView group;
  while (first < kMaxGroups && real_->Next(static_cast<uint32_t>(first), &group) &&
         group.number < kMaxGroups) {
    if (Fills(placeholder, group) && !(is_scoped && group.number != DeviceIndex(id))) {
      return group.number;
    }
    first = group.number + 1;
  }
  return kNoDevice;
}

size_t View::Path(NodeId id, std::span<char> out) const {
  Text text(out);
  AppendExpanded(RowOf(id).pattern, DeviceIndex(id), &text);
  if (text.view().empty()) text.Append("/");
  return text.view().size();
}

size_t View::LinkTarget(NodeId id, std::span<char> out) const {
  Text text(out);
  AppendExpanded(RowOf(id).text, DeviceIndex(id), &text);
  return text.view().size();
}

size_t View::Content(NodeId id, std::span<char> out) const {
  const Row& row = RowOf(id);
  if (row.write_content != nullptr) return row.write_content(inventory_, DeviceIndex(id), out);
  Text text(out);
  text.Append(row.text);
  return text.view().size();
}

bool View::RealFile(NodeId id, std::span<char> out) const {
  out[0] = '\0';
  if (real_ == nullptr) return false;
  if (Kind(id) == NodeKind::kContainer) real_->ContainerFile(out);
  if (Kind(id) == NodeKind::kGroup) {
    real_->GroupFile(static_cast<uint32_t>(DeviceIndex(id)), out);
  }
  return out[0] != '\0';
}

bool View::IsPresent(const Row& row) const {
  if (real_ == nullptr) {
    return row.presence == Presence::kEmulated || row.presence == Presence::kBoth;
  }
  if (row.presence == Presence::kEmulated) return false;
  if (row.presence == Presence::kMediated &&
      NextReal(Root(), Placeholder::kMadeUp, 0) == kNoDevice) {
    return false;
  }
  return row.kind != NodeKind::kContainer || real_->HasContainers();
}

// Whether two devices fill a placeholder with the same text.
bool View::SharesKey(Placeholder scope, size_t device, size_t other) const {
  if (scope == Placeholder::kNone || device == other) return true;
  if (scope == Placeholder::kDevice || scope == Placeholder::kCdev) return false;
  const DeviceView a = inventory_.device(device);
  const DeviceView b = inventory_.device(other);
  if (scope == Placeholder::kGroup) return a.group == b.group;
  return a.domain == b.domain && a.bus == b.bus;
}

size_t View::FirstWithKey(Placeholder scope, size_t device) const {
  if (real_ != nullptr) return scope == Placeholder::kNone ? 0 : device;
  size_t first = 0;
  while (!SharesKey(scope, first, device)) ++first;
  return first;
}

void View::AppendName(const Row& row, size_t device, Text* text) const {
  if (row.placeholder == Placeholder::kNone) return text->Append(row.name);
  AppendFor(row.placeholder, device, text);
}

void View::AppendFor(Placeholder placeholder, size_t device, Text* text) const {
  if (real_ != nullptr) return AppendForReal(placeholder, static_cast<uint32_t>(device), text);
  if (placeholder == Placeholder::kCdev) return text->Format("vfio%zu", device);
  AppendForDevice(placeholder, inventory_.device(device), text);
}

void View::AppendForReal(Placeholder placeholder, uint32_t number, Text* text) const {
  char buffer[kMaxMediatedPath];
  std::string_view path;
  if (placeholder >= Placeholder::kMediated) {
    real_->MediatedPath(number, buffer);
    path = buffer;
  }
  if (placeholder == Placeholder::kUp) {
    text->Append("../");
    for (const char c : path) text->Append(c == '/' ? "../" : "");
    return;
  }
  // What has been taken away meanwhile still has its number.
  if (!path.empty()) {
    const bool is_whole = placeholder == Placeholder::kMediatedPath;
    return text->Append(is_whole ? path : path.substr(path.rfind('/') + 1));
  }
  if (placeholder == Placeholder::kNoiommu) text->Append(kNoiommuPrefix);
  text->Format("%u", number);
}

void View::AppendExpanded(std::string_view pattern, size_t device, Text* text) const {
  while (!pattern.empty()) {
    const size_t brace = std::min(pattern.find('{'), pattern.size());
    text->Append(pattern.substr(0, brace));
    pattern.remove_prefix(brace);
    for (const auto& [name, placeholder] : kPlaceholders) {
      if (!pattern.starts_with(name)) continue;
      AppendFor(placeholder, device, text);
      pattern.remove_prefix(name.size());
      break;
    }
  }
}

uint32_t View::CountLinks(NodeId id) const {
  uint32_t links = 2;
  uint64_t cursor = 0;
  Entry entry;
  while (List(id, &cursor, &entry)) links += entry.kind == NodeKind::kDirectory ? 1 : 0;
  return links;
}

}  // namespace compat::vfs
