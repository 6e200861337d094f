#include "fuzz/nested_reference.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "fuzz/input.h"

namespace fuzz {
namespace {

// What is behind the memory: more than any bitmap is long.
constexpr uint64_t kNothing = uint64_t{256} << 20;

struct Found {
  std::optional<FaultReason> reason;
  Leaf leaf = {};
};

Found WalkFirstStage(const NestedMemory& memory, const NestedTable& table, uint64_t iova) {
  const uint32_t bits = 12 + 9 * table.levels;
  const int64_t above = static_cast<int64_t>(iova) >> (bits - 1);
  if (above != 0 && above != -1) return {FaultReason::kNotMapped};
  bool is_writable = true;
  bool is_users = true;
  uint64_t place = table.root & 0x000ffffffffff000;
  for (uint32_t shift = bits - 9;; shift -= 9) {
    const auto entry = memory.Word(place + (iova >> shift) % 512 * 8);
    if (!entry) return {FaultReason::kTableGone};
    if ((*entry & 1) == 0) return {FaultReason::kNotMapped};
    const uint64_t size = uint64_t{1} << shift;
    const bool is_large = shift > 12 && (*entry & 0x80) != 0;
    place = *entry & 0x000ffffffffff000;
    // The address has to be a multiple of the page, but for the page attribute's bit.
    const bool is_wrong = shift > 30 || (place % size & ~uint64_t{0x1000}) != 0;
    if (is_large && is_wrong) return {FaultReason::kTableInvalid};
    is_writable = is_writable && (*entry & 2) != 0;
    is_users = is_users && (*entry & 4) != 0;
    if (shift != 12 && !is_large) continue;
    const uint64_t first = iova - iova % size;
    return {{},
            {first, first + (size - 1), place - place % size, is_users, is_users && is_writable}};
  }
}

Found ReadTce(const NestedMemory& memory, const NestedTable& table, uint64_t iova) {
  if (iova < table.window_first || iova > table.window_last) return {FaultReason::kNotMapped};
  const uint64_t page = uint64_t{1} << table.page_shift;
  const auto stored = memory.Word(table.root + (iova - table.window_first) / page * 8);
  if (!stored) return {FaultReason::kTableGone};
  const uint64_t entry = __builtin_bswap64(*stored);
  if ((entry & 3) == 0) return {FaultReason::kNotMapped};
  const uint64_t first = iova - iova % page;
  return {{},
          {first, first + (page - 1), entry - entry % page, (entry & 1) != 0, (entry & 2) != 0}};
}

Found Walk(const NestedMemory& memory, const NestedTable& table, uint64_t iova) {
  return table.kind == TableKind::kTce ? ReadTce(memory, table, iova)
                                       : WalkFirstStage(memory, table, iova);
}

Way SecondStage(const NestedMemory& memory, uint64_t address, bool write) {
  return {memory.Refusal(address, write), false, address};
}

}  // namespace

NestedMemory::NestedMemory() {
  void* const all = mmap(nullptr, kPages * kPage + kNothing, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FUZZ_REQUIRE(all != MAP_FAILED);
  FUZZ_REQUIRE(mprotect(all, kPages * kPage, PROT_READ | PROT_WRITE) == 0);
  bytes_ = static_cast<std::byte*>(all);
}

NestedMemory::~NestedMemory() { munmap(bytes_, kPages * kPage + kNothing); }

std::optional<FaultReason> NestedMemory::Refusal(uint64_t address, bool write) const {
  const uint64_t page = address / kPage;
  if (page >= kMapped || page == hole_) return FaultReason::kNotMapped;
  if (write && page >= kWritable) return FaultReason::kPermission;
  return std::nullopt;
}

std::optional<uint64_t> NestedMemory::Word(uint64_t address) const {
  if (Refusal(address, /*write=*/false)) return std::nullopt;
  uint64_t word = 0;
  std::memcpy(&word, bytes_ + address, sizeof(word));
  return word;
}

std::vector<Way> WaysOf(const NestedMemory& memory, const NestedTable& table, uint64_t iova,
                        bool write) {
  if (table.kind == TableKind::kPaging) {
    Way way = SecondStage(memory, iova, write);
    way.is_recoverable = true;
    return {way};
  }
  std::vector<Way> ways;
  const Found found = Walk(memory, table, iova);
  if (found.reason) {
    ways.push_back({found.reason, *found.reason == FaultReason::kNotMapped, 0});
  } else if (!found.leaf.Leads(iova, write)) {
    ways.push_back({FaultReason::kPermission, true, 0});
  } else {
    ways.push_back(SecondStage(memory, found.leaf.target + (iova - found.leaf.first), write));
  }
  for (const Leaf& leaf : table.remembered) {
    if (!leaf.Leads(iova, write)) continue;
    ways.push_back(SecondStage(memory, leaf.target + (iova - leaf.first), write));
  }
  return ways;
}

void Remember(const NestedMemory& memory, NestedTable& table, uint64_t iova, bool write) {
  if (table.kind == TableKind::kPaging) return;
  const Found found = Walk(memory, table, iova);
  if (!found.reason && found.leaf.Leads(iova, write)) table.remembered.push_back(found.leaf);
}

void RequestQueue::Add(uint64_t iova, bool write) {
  if (requests.size() == kMost) return;
  requests.push_back({iova - iova % kPage, write, next_group});
  next_group = (next_group + 1) % 512;
}

bool RequestQueue::IsReadable() const {
  return std::any_of(requests.begin(), requests.end(),
                     [](const Request& request) { return request.cookie == 0; });
}

std::optional<RequestQueue::Request> RequestQueue::Take() {
  const auto oldest = std::find_if(requests.begin(), requests.end(),
                                   [](const Request& request) { return request.cookie == 0; });
  if (oldest == requests.end()) return std::nullopt;
  std::set<uint32_t> taken;
  for (const Request& request : requests) taken.insert(request.cookie);
  uint32_t cookie = 1;
  while (taken.count(cookie) != 0) ++cookie;
  oldest->cookie = cookie;
  return *oldest;
}

bool RequestQueue::Answer(uint32_t cookie) {
  if (cookie == 0) return false;
  return std::erase_if(requests,
                       [cookie](const Request& request) { return request.cookie == cookie; }) != 0;
}

void EventQueueReference::Add(uint64_t virtual_id, uint64_t iova, bool write, FaultReason reason) {
  const uint32_t sequence = next_sequence++;
  if (events.size() == depth) {
    lost = sequence;
    return;
  }
  events.push_back({sequence, false, virtual_id, iova, write, reason});
  lost.reset();
}

std::optional<EventQueueReference::Event> EventQueueReference::Oldest() const {
  if (!events.empty()) return events.front();
  if (lost) return Event{*lost, true, 0, 0, false, FaultReason::kNotMapped};
  return std::nullopt;
}

void EventQueueReference::Remove() {
  if (events.empty()) {
    lost.reset();
  } else {
    events.pop_front();
  }
}

}  // namespace fuzz
