#include "compat/vfs/view.h"

#include <sys/stat.h>

#include "compat/vfs/text.h"

namespace compat::vfs {
namespace {

// A NodeId is 1 + its row, and the device that its placeholders are filled from: the first one that
// fills them the same, so that a node has one number.
constexpr uint32_t kDeviceBits = 20;

constexpr NodeId MakeId(size_t row, size_t device) {
  return static_cast<NodeId>((row + 1) << kDeviceBits | device);
}

constexpr size_t RowIndex(NodeId id) { return (id >> kDeviceBits) - 1; }
constexpr size_t DeviceIndex(NodeId id) { return id & ((1U << kDeviceBits) - 1); }
const Row& RowOf(NodeId id) { return Rows()[RowIndex(id)]; }

// Far from the numbers that sysfs and devtmpfs count up from.
constexpr uint64_t InodeOf(NodeId id) { return uint64_t{1} << 40 | id; }

constexpr uint32_t kContainerMajor = 10;   // MISC_MAJOR
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
      return S_IFCHR | 0600;
  }
  return 0;
}

void AppendFor(Placeholder placeholder, const DeviceView& device, Text* text) {
  switch (placeholder) {
    case Placeholder::kNone:
      return;
    case Placeholder::kBus:
      return text->Format("pci%04x:%02x", device.domain, device.bus);
    case Placeholder::kGroup:
      return text->Format("%u", device.group);
    case Placeholder::kDevice:
      return text->Format("%04x:%02x:%02x.%x", device.domain, device.bus, device.device,
                          device.function);
  }
}

constexpr struct {
  std::string_view text;
  Placeholder placeholder;
} kPlaceholders[] = {{"{bus}", Placeholder::kBus},
                     {"{group}", Placeholder::kGroup},
                     {"{device}", Placeholder::kDevice}};

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
      node.major = kContainerMajor;
      node.minor = kContainerMinor;
      break;
    case NodeKind::kGroup:
      node.major = kGroupMajor;
      node.minor = static_cast<uint32_t>(DeviceIndex(id));
      node.group = inventory_.device(DeviceIndex(id)).group;
      break;
    default:
      break;
  }
  return node;
}

NodeId View::Child(NodeId id, std::string_view name) const {
  uint64_t cursor = 0;
  Entry entry;
  while (List(id, &cursor, &entry)) {
    if (name == entry.name) return entry.id;
  }
  return kNoNode;
}

NodeId View::Parent(NodeId id) const {
  const size_t parent = RowOf(id).parent;
  return MakeId(parent, FirstWithKey(Rows()[parent].scope, DeviceIndex(id)));
}

bool View::List(NodeId id, uint64_t* cursor, Entry* entry) const {
  size_t first_device = *cursor & ((1U << kDeviceBits) - 1);
  for (size_t row = *cursor >> kDeviceBits; row < Rows().size(); ++row, first_device = 0) {
    // The root is listed nowhere, though it is in itself.
    if (row == 0 || Rows()[row].parent != RowIndex(id)) continue;
    if (ListRow(id, row, first_device, cursor, entry)) return true;
  }
  *cursor = static_cast<uint64_t>(Rows().size()) << kDeviceBits;
  return false;
}

// Lists the nodes of one row that are in directory `id`, from device `first_device` on.
bool View::ListRow(NodeId id, size_t row, size_t first_device, uint64_t* cursor,
                   Entry* entry) const {
  const Placeholder placeholder = Rows()[row].placeholder;
  const bool is_fixed = placeholder == Placeholder::kNone;
  const size_t last = is_fixed ? 1 : inventory_.device_count();
  for (size_t each = first_device; each < last; ++each) {
    const size_t device = is_fixed ? DeviceIndex(id) : each;
    if (!is_fixed && (!SharesKey(RowOf(id).scope, device, DeviceIndex(id)) ||
                      FirstWithKey(placeholder, device) != device)) {
      continue;
    }
    Text name(entry->name);
    AppendName(Rows()[row], device, &name);
    entry->id = MakeId(row, device);
    entry->kind = Rows()[row].kind;
    entry->inode = InodeOf(entry->id);
    *cursor = (static_cast<uint64_t>(row) << kDeviceBits) + each + 1;
    return true;
  }
  return false;
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

// Whether two devices fill a placeholder with the same text.
bool View::SharesKey(Placeholder scope, size_t device, size_t other) const {
  if (scope == Placeholder::kNone || device == other) return true;
  if (scope == Placeholder::kDevice) return false;
  const DeviceView a = inventory_.device(device);
  const DeviceView b = inventory_.device(other);
  if (scope == Placeholder::kGroup) return a.group == b.group;
  return a.domain == b.domain && a.bus == b.bus;
}

size_t View::FirstWithKey(Placeholder scope, size_t device) const {
  size_t first = 0;
  while (!SharesKey(scope, first, device)) ++first;
  return first;
}

void View::AppendName(const Row& row, size_t device, Text* text) const {
  if (row.placeholder == Placeholder::kNone) return text->Append(row.name);
  AppendFor(row.placeholder, inventory_.device(device), text);
}

void View::AppendExpanded(std::string_view pattern, size_t device, Text* text) const {
  while (!pattern.empty()) {
    const size_t brace = std::min(pattern.find('{'), pattern.size());
    text->Append(pattern.substr(0, brace));
    pattern.remove_prefix(brace);
    for (const auto& [name, placeholder] : kPlaceholders) {
      if (!pattern.starts_with(name)) continue;
      AppendFor(placeholder, inventory_.device(device), text);
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
