// What devices write through domains, against sets of pages.
#include <algorithm>
#include <vector>

#include "fuzz/domains.h"
#include "ioas/dirty_pages.h"

namespace fuzz {
namespace {

using ioas::IovaRange;

class Written final : public ioas::DirtyPageSink {
 public:
  explicit Written(uint64_t page_size) : page_size_(page_size) {}
  void OnWritten(const IovaRange& range) override {
    FUZZ_REQUIRE(range.first % page_size_ == 0 && (range.last + 1) % page_size_ == 0);
    for (uint64_t at = range.first;; at += page_size_) {
      FUZZ_REQUIRE(pages.empty() || at > pages.back());
      pages.push_back(at);
      if (at + (page_size_ - 1) == range.last) return;
    }
  }
  std::vector<uint64_t> pages;

 private:
  uint64_t page_size_;
};

}  // namespace

void DomainComparison::Dirty() {
  if (domains_.empty()) return;
  Domain& domain = domains_[input_.TakeBelow(4) % domains_.size()];
  const uint32_t choice = input_.TakeBelow(8);
  if (choice < 2) {
    FUZZ_REQUIRE(space_.TrackDirtyPages(domain.state, choice == 1).ok());
    domain.dirty = choice == 1 ? std::optional(std::set<uint64_t>()) : std::nullopt;
  } else if (choice < 5) {
    Write(domain);
  } else {
    ReadDirty(domain, choice == 5);
  }
}

void DomainComparison::Write(Domain& domain) {
  if (mappings_.empty()) return;
  const auto mapping =
      std::next(mappings_.begin(), input_.TakeBelow(8) % static_cast<long>(mappings_.size()));
  const uint64_t size = mapping->second.last - mapping->first + 1;
  const uint64_t first = mapping->first + input_.Take<uint32_t>() % size;
  const uint64_t length =
      std::min<uint64_t>(1 + input_.Take<uint16_t>() * 8, mapping->second.last - first + 1);
  space_.MarkDirty(domain.state, {first, first + (length - 1)});
  if (!domain.dirty) return;
  const uint64_t last = (first + (length - 1)) & -domain.smallest_page;
  for (uint64_t page = first & -domain.smallest_page;; page += domain.smallest_page) {
    domain.dirty->insert(page);
    if (page == last) return;
  }
}

// Of a range of whole pages, as far as mappings follow each other.
void DomainComparison::ReadDirty(Domain& domain, bool clear) {
  const uint64_t first = TakePlace() & -page_size();
  const uint64_t last = first + (TakeLength() - 1);
  if (last < first || (last + 1) % page_size() != 0) return;
  Written written(domain.smallest_page);
  space_.ReadDirtyPages(domain.state, {first, last}, clear, written);
  std::vector<uint64_t> expected;
  uint64_t next = first;
  for (const auto& [begin, mapping] : mappings_) {
    if (!domain.dirty || mapping.last < next) continue;
    if (begin > next) break;
    const uint64_t end = std::min(last, mapping.last);
    const auto from = domain.dirty->lower_bound(next);
    const auto to = domain.dirty->upper_bound(end);
    expected.insert(expected.end(), from, to);
    if (clear) domain.dirty->erase(from, to);
    if (end == last) break;
    next = end + 1;
  }
  FUZZ_REQUIRE(written.pages == expected);
}

void DomainComparison::ForgetDirty(const IovaRange& range) {
  for (Domain& domain : domains_) {
    if (!domain.dirty) continue;
    domain.dirty->erase(domain.dirty->lower_bound(range.first),
                        domain.dirty->upper_bound(range.last));
  }
}

}  // namespace fuzz
