// What a device reaches through page tables that a program keeps in memory of its own, whatever is
// in them, and what the program is told of the rest: page requests, events, dirty pages. A walk by
// the book (nested_reference.h) finds the same. Then any calls, with any bytes, and any accesses:
// they do no harm, and reach no memory that is not mapped.
//
// An input: steps of one byte and their operands.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "fuzz/nested_session.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

namespace {

constexpr int kMaxSteps = 60;
constexpr size_t kMaxTables = 6;
constexpr uint64_t kUserWritablePresent = 7;
constexpr uint32_t kReadWrite = iommufd::kIoasMapReadable | iommufd::kIoasMapWriteable;

}  // namespace

void NestedSession::Run() {
  for (int step = 0; step < kMaxSteps && !input_.empty() && !is_uncertain_; ++step) {
    if (input_.TakeBelow(64) == 63) break;
    Step();
    CheckReadable();
  }
  Hostile();
}

void NestedSession::Step() {
  switch (input_.TakeBelow(16)) {
    case 0:
      return NewPaging();
    case 1:
      return NewFirstStage();
    case 2:
      return NewTce();
    case 3:
      return Attach();
    case 4:
      return Detach();
    case 5:
    case 6:
      return WriteWay();
    case 7:
      return WriteEntry();
    case 8:
      return Invalidate();
    case 9:
      return DestroyTable();
    case 10:
      return SetDirtyTracking();
    case 11:
      return GetDirtyBitmap();
    case 12:
    case 13:
      return UseQueues();
    default:
      return Access();
  }
}

void NestedSession::Map(uint64_t first_page, uint64_t end_page, bool writable) {
  if (first_page == end_page) return;
  iommufd::IoasMap command = {};
  command.flags = iommufd::kIoasMapFixedIova | (writable ? kReadWrite : iommufd::kIoasMapReadable);
  command.ioas_id = ioas_;
  command.user_va = reinterpret_cast<uint64_t>(memory_.At(first_page * kPage));
  command.length = (end_page - first_page) * kPage;
  command.iova = first_page * kPage;
  FUZZ_REQUIRE(Call(iommufd::kIoasMap, command) == 0);
}

NestedTable& NestedSession::TakeTable() {
  return *std::next(tables_.begin(), input_.TakeBelow(static_cast<uint32_t>(tables_.size())));
}

// Mostly where tables lead somewhere.
uint64_t NestedSession::TakeIova() {
  constexpr uint64_t kPlaces[] = {0,          1ull << 21,       1ull << 30, 1ull << 39,
                                  1ull << 47, UINT64_MAX << 47, 1ull << 56, UINT64_MAX << 56};
  const uint8_t choice = input_.Take<uint8_t>();
  const uint64_t place = choice < 128 ? 0 : kPlaces[choice % std::size(kPlaces)];
  const uint64_t page = input_.TakeBelow(NestedMemory::kPages);
  return place + page * kPage + input_.TakeBelow(kPage / 8) * 8;
}

void NestedSession::Make(iommufd::HwptAlloc& command, NestedTable table, long expected) {
  command.dev_id = device_;
  if (table.asks) {
    command.flags |= iommufd::kHwptFaultIdValid;
    command.fault_id = fault_queue_ ? fault_queue_->id : 0;
    if (expected == 0 && !fault_queue_) expected = -ENOENT;
  }
  FUZZ_REQUIRE(Call(iommufd::kHwptAlloc, command) == expected);
  if (expected != 0) return;
  table.id = command.out_hwpt_id;
  if (tables_.size() < kMaxTables) {
    tables_.push_back(std::move(table));
    return;
  }
  iommufd::Destroy destroy = {.size = 0, .id = table.id};
  FUZZ_REQUIRE(Call(iommufd::kDestroy, destroy) == 0);
}

template <typename Data>
void NestedSession::MakeNested(uint32_t type, const Data& data, const NestedTable& table,
                               long expected) {
  iommufd::HwptAlloc command = {};
  command.pt_id = table.is_on_viommu ? viommu_ : Parent().id;
  command.data_type = type;
  command.data_len = sizeof(data);
  command.data_uptr = reinterpret_cast<uint64_t>(&data);
  Make(command, table, expected);
}

void NestedSession::NewPaging() {
  NestedTable table;
  table.asks = input_.TakeBelow(2) != 0;
  iommufd::HwptAlloc command = {};
  command.flags = iommufd::kHwptAllocDirtyTracking;
  command.pt_id = ioas_;
  Make(command, table, 0);
}

void NestedSession::NewFirstStage() {
  constexpr uint32_t kWidths[] = {48, 57, 48, 57, 48, 57, 39, 0};
  constexpr uint64_t kFlags[] = {0, iommufd::kVtdS1Wpe,  0, iommufd::kVtdS1Sre,
                                 0, iommufd::kVtdS1Eafe, 0, 0};
  NestedTable table;
  table.kind = TableKind::kFirstStage;
  table.is_on_viommu = input_.TakeBelow(2) != 0;
  table.asks = input_.TakeBelow(2) != 0;
  const uint32_t width = kWidths[input_.TakeBelow(std::size(kWidths))];
  const uint64_t flags = kFlags[input_.TakeBelow(std::size(kFlags))];
  table.root = input_.TakeBelow(NestedMemory::kPages) * kPage;
  table.levels = width == 57 ? 5 : 4;
  table.is_usable = width >= 48 && (flags & (iommufd::kVtdS1Sre | iommufd::kVtdS1Eafe)) == 0;
  const iommufd::HwptVtdS1 stage = {flags, table.root, width, 0};
  MakeNested(iommufd::kHwptDataVtdS1, stage, table, 0);
}

void NestedSession::NewTce() {
  constexpr uint64_t kEntries[] = {16, 512, 1ull << 32, (1ull << 32) + 1, 0, 1, 1024, 20};
  NestedTable table;
  table.kind = TableKind::kTce;
  table.is_on_viommu = input_.TakeBelow(2) != 0;
  table.asks = input_.TakeBelow(2) != 0;
  table.page_shift = 11 + input_.TakeBelow(25);
  if (input_.TakeBelow(4) != 0) table.page_shift = 12;
  const uint64_t entries = kEntries[input_.TakeBelow(std::size(kEntries))];
  table.root = input_.TakeBelow(NestedMemory::kPages) * kPage;
  table.window_first = input_.TakeBelow(2) == 0 ? 0 : TakeIova() & ~(kPage - 1);
  const iommufd::HwptSoftTce tces = {
      table.root, table.window_first, entries, table.page_shift, 1, 0, 0};
  // Pages that are too small or too large, a window that wraps around or is no whole pages.
  const auto size = static_cast<unsigned __int128>(entries) << table.page_shift;
  const bool is_wrong = table.page_shift < 12 || table.page_shift > 34 || entries == 0 ||
                        entries > 1ull << 32 ||
                        table.window_first % (uint64_t{1} << table.page_shift) != 0 ||
                        table.window_first + size - 1 > UINT64_MAX;
  table.window_last = table.window_first + (static_cast<uint64_t>(size) - 1);
  MakeNested(iommufd::kHwptDataSoftTce, tces, table, is_wrong ? -EINVAL : 0);
}

void NestedSession::DestroyTable() {
  NestedTable& table = TakeTable();
  // The parent has a vIOMMU on it.
  const bool is_used = &table == attached_ || &table == &Parent();
  iommufd::Destroy command = {.size = 0, .id = table.id};
  FUZZ_REQUIRE(Call(iommufd::kDestroy, command) == (is_used ? -EBUSY : 0));
  if (!is_used) tables_.remove_if([&](const NestedTable& each) { return &each == &table; });
}

void NestedSession::Attach() {
  NestedTable& table = TakeTable();
  compat::abi::DeviceAttachIommufdPt attach = {12, 0, table.id, 0};
  const long expected = table.is_usable ? 0 : -EINVAL;
  FUZZ_REQUIRE(host_.Ioctl(cdev_, compat::abi::kDeviceAttachIommufdPt, &attach) == expected);
  if (!table.is_usable || &table == attached_) return;
  DenyRequests();
  attached_ = &table;
}

void NestedSession::Detach() {
  compat::abi::DeviceDetachIommufdPt detach = {8, 0, 0};
  FUZZ_REQUIRE(host_.Ioctl(cdev_, compat::abi::kDeviceDetachIommufdPt, &detach) == 0);
  DenyRequests();
  attached_ = nullptr;
}

// Writes all entries that an address needs to lead somewhere, into tables that lie one page after
// the other, or the TCE.
void NestedSession::WriteWay() {
  const NestedTable& table = TakeTable();
  const uint64_t iova = TakeIova();
  const uint64_t target = input_.TakeBelow(NestedMemory::kPages) * kPage;
  const uint64_t bits = input_.TakeBelow(8) == 0 ? input_.TakeBelow(8) : kUserWritablePresent;
  const auto write = [this](uint64_t address, uint64_t entry) {
    if (address / kPage < NestedMemory::kPages) std::memcpy(memory_.At(address), &entry, 8);
  };
  if (table.kind == TableKind::kTce) {
    const uint64_t index = (iova - table.window_first) >> table.page_shift;
    return write(table.root + index % 512 * 8, __builtin_bswap64(target | (bits & 3)));
  }
  const uint32_t leaf = 1 + input_.TakeBelow(16) / 13;
  uint64_t place = table.root;
  for (uint32_t level = table.kind == TableKind::kPaging ? 4 : table.levels;; --level) {
    const uint64_t at = place + (iova >> (3 + 9 * level)) % 512 * 8;
    if (level == leaf) return write(at, target | bits | (level > 1 ? 0x80 : 0));
    place = (place + kPage) % (NestedMemory::kWritable * kPage);
    write(at, place | kUserWritablePresent);
  }
}

void NestedSession::WriteEntry() {
  const uint64_t page = input_.TakeBelow(NestedMemory::kPages);
  const bool is_low = input_.TakeBelow(2) == 0;
  const uint64_t address = page * kPage + input_.TakeBelow(is_low ? 4 : kPage / 8) * 8;
  uint64_t entry = input_.TakeBelow(NestedMemory::kPages) * kPage;
  entry |= input_.Take<uint8_t>();
  if (input_.TakeBelow(4) == 0) entry |= uint64_t{1} << input_.TakeBelow(64);
  if (input_.TakeBelow(4) == 0) entry = __builtin_bswap64(entry);
  std::memcpy(memory_.At(address), &entry, sizeof(entry));
}

// All at once, or a few pages; a large page is forgotten with any part of it.
void NestedSession::Invalidate() {
  NestedTable& table = TakeTable();
  const bool is_tce = table.kind == TableKind::kTce;
  const bool is_all = input_.TakeBelow(4) != 0;
  // Both kinds of entries have these fields in these places.
  const uint64_t page = uint64_t{1} << (is_tce ? table.page_shift : 12);
  uint64_t first = is_all ? 0 : TakeIova();
  if (input_.TakeBelow(8) != 0) first -= first % page;
  const uint64_t pages = is_all ? UINT64_MAX : input_.TakeBelow(4);
  const iommufd::HwptVtdS1Invalidate entry = {first, pages, 0, 0};
  static_assert(sizeof(entry) == sizeof(iommufd::HwptSoftTceInvalidate));
  iommufd::HwptInvalidate command = {};
  command.hwpt_id = table.id;
  command.data_uptr = reinterpret_cast<uint64_t>(&entry);
  command.data_type =
      is_tce ? iommufd::kHwptInvalidateDataSoftTce : iommufd::kHwptInvalidateDataVtdS1;
  command.entry_len = sizeof(entry);
  command.entry_num = 1;
  long expected = first % page == 0 ? 0 : -EINVAL;
  if (table.kind == TableKind::kPaging) expected = -ENOENT;
  FUZZ_REQUIRE(Call(iommufd::kHwptInvalidate, command) == expected);
  FUZZ_REQUIRE(command.entry_num == (expected == 0 ? 1u : 0u));
  if (expected != 0) return;
  const uint64_t size = std::max<uint64_t>(pages, 1) * page;
  const uint64_t last = is_all || first + size < first ? UINT64_MAX : first + size - 1;
  std::erase_if(table.remembered,
                [=](const Leaf& leaf) { return leaf.first <= last && first <= leaf.last; });
}

void NestedSession::SetDirtyTracking() {
  NestedTable& table = TakeTable();
  iommufd::HwptSetDirtyTracking command = {};
  command.hwpt_id = table.id;
  command.flags = input_.TakeBelow(2);
  const bool is_paging = table.kind == TableKind::kPaging;
  FUZZ_REQUIRE(Call(iommufd::kHwptSetDirtyTracking, command) == (is_paging ? 0 : -ENOENT));
  table.dirty.reset();
  if (command.flags != 0) table.dirty.emplace();
}

void NestedSession::GetDirtyBitmap() {
  NestedTable& table = TakeTable();
  const uint64_t page = input_.TakeBelow(NestedMemory::kPages);
  uint64_t word = 0;
  iommufd::HwptGetDirtyBitmap command = {};
  command.hwpt_id = table.id;
  command.flags = input_.TakeBelow(2);
  command.iova = page * kPage;
  command.length = kPage;
  command.page_size = kPage;
  command.data = reinterpret_cast<uint64_t>(&word);
  if (table.kind != TableKind::kPaging) {
    FUZZ_REQUIRE(Call(iommufd::kHwptGetDirtyBitmap, command) == -ENOENT);
    return;
  }
  FUZZ_REQUIRE(Call(iommufd::kHwptGetDirtyBitmap, command) == 0);
  FUZZ_REQUIRE(word == (table.dirty ? table.dirty->count(page) : 0));
  if (table.dirty && command.flags == 0) table.dirty->erase(page);
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::NestedSession(fuzz::Input(data, size)).Run();
  return 0;
}
