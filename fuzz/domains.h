// What the target `domains` holds an address space with domains against.
#ifndef FUZZ_DOMAINS_H_
#define FUZZ_DOMAINS_H_

#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "fuzz/input.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/domain.h"

namespace fuzz {

class KeepingBackend final : public ioas::Backend {
 public:
  ioas::Status Map(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    if (left-- == 0) return ioas::Error{EFAULT, "refused by the fuzzer"};
    FUZZ_REQUIRE(carried_out.emplace(mapping.first, mapping).second);
    return {};
  }
  ioas::Status Unmap(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    FUZZ_REQUIRE(carried_out.erase(mapping.first) == 1);
    return {};
  }
  ioas::Status Keep(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    FUZZ_REQUIRE(kept.emplace(mapping.first, mapping).second);
    return {};
  }
  void Forget(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    FUZZ_REQUIRE(kept.erase(mapping.first) == 1);
  }
  void Discard(const ioas::IoasHandle& /*space*/, const ioas::IovaRange& /*range*/) override {
    FUZZ_REQUIRE(!"nobody died");
  }

  std::map<uint64_t, ioas::Mapping> kept;
  std::map<uint64_t, ioas::Mapping> carried_out;
  uint32_t left = UINT32_MAX;  // how many more are not refused
};

struct Domain {
  uint32_t owner;
  uint64_t smallest_page;
  ioas::ArenaRef<ioas::DomainState> state;
  std::optional<std::set<uint64_t>> dirty;  // where pages begin that were written, while it tracks
};

class DomainComparison {
 public:
  explicit DomainComparison(Input& input)
      : input_(input),
        arena_(*ioas::Arena::CreatePrivate(1 << 29)),
        space_(arena_, *ioas::AddressSpace::CreateWithoutDomain(arena_), &backend_) {}
  ~DomainComparison() {
    (void)space_.UnmapAll();
    FUZZ_REQUIRE(backend_.kept.empty() && backend_.carried_out.empty());
    while (!domains_.empty()) Remove(domains_.back().owner);
    space_.Destroy();
    FUZZ_REQUIRE(arena_.bytes_in_use() == 0);
    arena_.Unmap();
  }
  DomainComparison(const DomainComparison&) = delete;
  DomainComparison& operator=(const DomainComparison&) = delete;

  void Step();

 private:
  uint64_t TakePlace();
  uint64_t TakeLength();
  uint64_t page_size() const;
  // Whether everything that is mapped is a multiple of `alignment`.
  bool IsAligned(uint64_t alignment) const;
  bool IsMapped(const ioas::IovaRange& range) const;
  bool IsReserved(const ioas::IovaRange& range) const;
  bool IsAllowed(const ioas::IovaRange& range) const;
  // The errno of a domain that leaves out these ranges, before anything is carried out.
  int DomainErrno(uint64_t smallest, std::span<const ioas::IovaRange> outside) const;
  void AddDomain();
  void RemoveDomain();
  void Remove(uint32_t owner);
  void SetSmallPagesOnly();
  void Reserve();
  void Allow();
  void Map();
  int RoomErrno(uint64_t first, uint64_t length) const;
  int PiecesErrno(std::span<const ioas::Mapping> pieces) const;
  void Cut();
  void Unmap();
  // What devices write (domains_dirty.cc).
  void Dirty();
  void Write(Domain& domain);
  void ReadDirty(Domain& domain, bool clear);
  // Nothing is mapped in `range` any more.
  void ForgetDirty(const ioas::IovaRange& range);
  void FindRoom();
  std::optional<uint64_t> RoomIn(const ioas::IovaRange& range, uint64_t length, uint64_t alignment,
                                 uint64_t offset) const;
  void RequireSame() const;

  Input& input_;
  KeepingBackend backend_;
  ioas::Arena arena_;
  ioas::AddressSpace space_;
  std::map<uint64_t, ioas::Mapping> mappings_;
  std::vector<ioas::ReservedRange> reserved_;
  std::vector<Domain> domains_;
  std::vector<ioas::IovaRange> allowed_;
  bool small_pages_only_ = false;
};

}  // namespace fuzz

#endif  // FUZZ_DOMAINS_H_
