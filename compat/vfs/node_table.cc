#include "compat/vfs/node_table.h"

#include <array>

namespace compat::vfs {
namespace {

constexpr Row Directory(std::string_view pattern, Merging merging = Merging::kMerged) {
  return {.pattern = pattern, .kind = NodeKind::kDirectory, .merging = merging};
}

constexpr Row Node(std::string_view pattern, NodeKind kind) {
  return {.pattern = pattern, .kind = kind};
}

constexpr Row Link(std::string_view pattern, std::string_view target) {
  return {.pattern = pattern, .kind = NodeKind::kLink, .text = target};
}

constexpr Row File(std::string_view pattern, std::string_view content) {
  return {.pattern = pattern, .kind = NodeKind::kFile, .text = content};
}

constexpr Row File(std::string_view pattern, ContentWriter writer) {
  return {.pattern = pattern, .kind = NodeKind::kFile, .write_content = writer};
}

constexpr Row For(Presence presence, Row row) {
  row.presence = presence;
  return row;
}

constexpr Row GivesWay(Row row) {
  row.merging = Merging::kMerged;
  return row;
}

// A directory stands before what is in it. Directories that a real host may have as well are merged
// with it; a device and a group of ours hide a real one of the same name entirely.
constexpr Row kPatterns[] = {
    For(Presence::kBoth, Directory("")),
    For(Presence::kBoth, Directory("/dev")),
    Node("/dev/iommu", NodeKind::kIommufd),
    For(Presence::kBoth, Directory("/dev/vfio")),
    Directory("/dev/vfio/devices"),
    Node("/dev/vfio/devices/{cdev}", NodeKind::kCdev),
    For(Presence::kBoth, Node("/dev/vfio/vfio", NodeKind::kContainer)),
    For(Presence::kBoth, Node("/dev/vfio/{group}", NodeKind::kGroup)),
    For(Presence::kReal, Node("/dev/vfio/{noiommu}", NodeKind::kGroup)),
    For(Presence::kBoth, Directory("/sys")),
    For(Presence::kBoth, Directory("/sys/bus")),
    For(Presence::kMediated, Directory("/sys/bus/mdev")),
    For(Presence::kReal, Directory("/sys/bus/mdev/devices")),
    // The real link again, so that the way to the device's directory stays in the view.
    For(Presence::kReal, Link("/sys/bus/mdev/devices/{mdev}", "../../../devices/{path}")),
    Directory("/sys/bus/pci"),
    Directory("/sys/bus/pci/devices"),
    Link("/sys/bus/pci/devices/{device}", "../../../devices/{bus}/{device}"),
    Directory("/sys/bus/pci/drivers"),
    Directory("/sys/bus/pci/drivers/vfio-pci"),
    Link("/sys/bus/pci/drivers/vfio-pci/{device}", "../../../../devices/{bus}/{device}"),
    Link("/sys/bus/pci/drivers/vfio-pci/module", "../../../../module/vfio_pci"),
    For(Presence::kBoth, Directory("/sys/devices")),
    Directory("/sys/devices/{bus}"),
    Directory("/sys/devices/{bus}/{device}", Merging::kOpaque),
    File("/sys/devices/{bus}/{device}/ari_enabled", "0\n"),
    File("/sys/devices/{bus}/{device}/broken_parity_status", "0\n"),
    File("/sys/devices/{bus}/{device}/class", WriteClass),
    File("/sys/devices/{bus}/{device}/config", WriteConfig),
    File("/sys/devices/{bus}/{device}/consistent_dma_mask_bits", "64\n"),
    File("/sys/devices/{bus}/{device}/device", WriteDevice),
    File("/sys/devices/{bus}/{device}/dma_mask_bits", "64\n"),
    Link("/sys/devices/{bus}/{device}/driver", "../../../bus/pci/drivers/vfio-pci"),
    File("/sys/devices/{bus}/{device}/driver_override", "vfio-pci\n"),
    File("/sys/devices/{bus}/{device}/enable", "1\n"),
    Link("/sys/devices/{bus}/{device}/iommu_group", "../../../kernel/iommu_groups/{group}"),
    File("/sys/devices/{bus}/{device}/irq", "0\n"),
    File("/sys/devices/{bus}/{device}/modalias", WriteModalias),
    File("/sys/devices/{bus}/{device}/msi_bus", "1\n"),
    File("/sys/devices/{bus}/{device}/numa_node", "-1\n"),
    File("/sys/devices/{bus}/{device}/power_state", "D0\n"),
    File("/sys/devices/{bus}/{device}/resource", WriteResource),
    File("/sys/devices/{bus}/{device}/revision", WriteRevision),
    Link("/sys/devices/{bus}/{device}/subsystem", "../../../bus/pci"),
    File("/sys/devices/{bus}/{device}/subsystem_device", WriteSubsystemDevice),
    File("/sys/devices/{bus}/{device}/subsystem_vendor", WriteSubsystemVendor),
    File("/sys/devices/{bus}/{device}/uevent", WriteUevent),
    File("/sys/devices/{bus}/{device}/vendor", WriteVendor),
    Directory("/sys/devices/{bus}/{device}/vfio-dev", Merging::kOpaque),
    Directory("/sys/devices/{bus}/{device}/vfio-dev/{cdev}", Merging::kOpaque),
    File("/sys/devices/{bus}/{device}/vfio-dev/{cdev}/dev", WriteCdevNumber),
    For(Presence::kReal, Directory("/sys/devices/{path}")),
    For(Presence::kReal,
        Link("/sys/devices/{path}/iommu_group", "../{up}kernel/iommu_groups/{made-up}")),
    For(Presence::kBoth, Directory("/sys/kernel")),
    For(Presence::kBoth, Directory("/sys/kernel/iommu_groups")),
    Directory("/sys/kernel/iommu_groups/{group}", Merging::kOpaque),
    Directory("/sys/kernel/iommu_groups/{group}/devices", Merging::kOpaque),
    Link("/sys/kernel/iommu_groups/{group}/devices/{device}", "../../../../devices/{bus}/{device}"),
    File("/sys/kernel/iommu_groups/{group}/reserved_regions",
         "0x00000000fee00000 0x00000000feefffff msi\n"),
    File("/sys/kernel/iommu_groups/{group}/type", "DMA\n"),
    // As vfio_noiommu_group_alloc() of drivers/vfio/group.c makes them, without an IOMMU.
    For(Presence::kReal, Directory("/sys/kernel/iommu_groups/{made-up}", Merging::kOpaque)),
    For(Presence::kReal, Directory("/sys/kernel/iommu_groups/{made-up}/devices", Merging::kOpaque)),
    For(Presence::kReal,
        Link("/sys/kernel/iommu_groups/{made-up}/devices/{mdev}", "../../../../devices/{path}")),
    For(Presence::kReal, File("/sys/kernel/iommu_groups/{made-up}/name", "vfio-noiommu\n")),
    For(Presence::kReal, File("/sys/kernel/iommu_groups/{made-up}/reserved_regions", "")),
    For(Presence::kReal, File("/sys/kernel/iommu_groups/{made-up}/type", "unknown\n")),
    For(Presence::kBoth, Directory("/sys/module")),
    For(Presence::kBoth, Directory("/sys/module/vfio")),
    For(Presence::kBoth, Directory("/sys/module/vfio/parameters")),
    // A kernel without CONFIG_VFIO_GROUP has neither this, which would be its only parameter, nor
    // vfio_iommu_type1; what programs look for apart from that is there.
    File("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"),
    For(Presence::kReal,
        GivesWay(File("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"))),
    For(Presence::kBoth, Directory("/sys/module/vfio_iommu_type1")),
    Directory("/sys/module/vfio_pci"),
};

constexpr size_t kRows = std::size(kPatterns);

constexpr Placeholder ParsePlaceholder(std::string_view name) {
  for (const auto& [text, placeholder] : kPlaceholders) {
    if (name == text) return placeholder;
  }
  return Placeholder::kNone;
}

// Fills in what follows from the patterns. Does not compile if a row's directory is missing, as no
// constant expression reads behind the array's end.
consteval std::array<Row, kRows> DeriveRows() {
  std::array<Row, kRows> rows;
  rows[0] = kPatterns[0];
  for (size_t index = 1; index < kRows; ++index) {
    Row row = kPatterns[index];
    const size_t slash = row.pattern.rfind('/');
    row.name = row.pattern.substr(slash + 1);
    size_t parent = 0;
    while (kPatterns[parent].pattern != row.pattern.substr(0, slash)) ++parent;
    row.parent = static_cast<uint8_t>(parent);
    row.placeholder = ParsePlaceholder(row.name);
    row.scope = row.placeholder != Placeholder::kNone ? row.placeholder : rows[parent].scope;
    rows[index] = row;
  }
  return rows;
}

constexpr std::array<Row, kRows> kTable = DeriveRows();

}  // namespace

std::span<const Row> Rows() { return kTable; }

}  // namespace compat::vfs
