// A backend that keeps what it is told, page by page, and refuses the next call on demand.
#ifndef FUZZ_IOAS_BACKEND_H_
#define FUZZ_IOAS_BACKEND_H_

#include <cerrno>
#include <iterator>
#include <map>

#include "fuzz/input.h"
#include "fuzz/ioas_reference.h"
#include "ioas/backend.h"

namespace fuzz {

class RefusingBackend final : public ioas::Backend {
 public:
  // Makes the next calls that can fail do so with an errno that `choice` stands for; 0: none.
  void RefuseNext(uint8_t choice) {
    constexpr int kErrnos[] = {0, EFAULT, ENOMEM, EINVAL, EIO};
    refusal_ = kErrnos[choice % std::size(kErrnos)];
  }
  int refusal() const { return refusal_; }
  // How many calls there were, refused or not.
  size_t calls() const { return calls_; }

  ioas::Status Map(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    IOAS_RETURN_IF_ERROR(Admit());
    for (const auto& [first, other] : mappings_) {
      FUZZ_REQUIRE(other.last < mapping.first || mapping.last < first);
    }
    mappings_[mapping.first] = mapping;
    return {};
  }
  ioas::Status Unmap(const ioas::IoasHandle& /*space*/, const ioas::Mapping& mapping) override {
    IOAS_RETURN_IF_ERROR(Admit());
    const auto there = mappings_.find(mapping.first);
    FUZZ_REQUIRE(there != mappings_.end() && there->second == mapping);
    mappings_.erase(there);
    return {};
  }
  void Discard(const ioas::IoasHandle& /*space*/, const ioas::IovaRange& /*range*/) override {
    FUZZ_REQUIRE(!"nobody died");
  }
  ioas::Status MapRun(const ioas::IoasHandle& space, const ioas::PageRun& run) override {
    ++calls_;
    if (refusal_ == EFAULT) return Refused();
    (void)space;
    Drop(run.iovas);
    if (refusal_ != 0) return Refused();
    runs_[run.iovas.first] = {run.iovas, run.user_address, run.access};
    return {};
  }
  ioas::Status UnmapRange(const ioas::IoasHandle& /*space*/,
                          const ioas::IovaRange& iovas) override {
    IOAS_RETURN_IF_ERROR(Admit());
    Drop(iovas);
    return {};
  }

  // Whether devices reach what they should, and nothing else.
  bool HoldsExactly(const ReferenceSpace& reference) const {
    if (mappings_ != reference.mappings) return false;
    uint64_t bytes = 0;
    for (const auto& [first, run] : runs_) bytes += run.iovas.last - first + 1;
    for (const auto& window : reference.windows) {
      if (!window) continue;
      for (const auto& [iova, page] : window->pages) {
        if (!Leads(iova, page)) return false;
        bytes -= window->page_size();
      }
    }
    return bytes == 0;
  }

 private:
  struct Run {
    ioas::IovaRange iovas;
    uint64_t user_address;
    uint32_t access;
  };

  static ioas::Error Refusal(int code) { return {code, "refused by the fuzzer"}; }
  ioas::Error Refused() const { return Refusal(refusal_); }
  ioas::Status Admit() {
    ++calls_;
    if (refusal_ != 0) return Refused();
    return {};
  }
  bool Leads(uint64_t iova, const ReferencePage& page) const {
    auto run = runs_.upper_bound(iova);
    if (run == runs_.begin()) return false;
    --run;
    return run->second.iovas.last >= iova && run->second.access == page.access &&
           run->second.user_address + (iova - run->first) == page.user_address;
  }
  // Cuts `iovas` out of what is there.
  void Drop(const ioas::IovaRange& iovas) {
    std::map<uint64_t, Run> left;
    for (const auto& [first, run] : runs_) {
      if (!run.iovas.Overlaps(iovas)) {
        left[first] = run;
        continue;
      }
      if (first < iovas.first)
        left[first] = {{first, iovas.first - 1}, run.user_address, run.access};
      if (run.iovas.last > iovas.last) {
        const uint64_t next = iovas.last + 1;
        left[next] = {{next, run.iovas.last}, run.user_address + (next - first), run.access};
      }
    }
    runs_ = left;
  }

  std::map<uint64_t, ioas::Mapping> mappings_;
  std::map<uint64_t, Run> runs_;
  int refusal_ = 0;
  size_t calls_ = 0;
};

}  // namespace fuzz

#endif  // FUZZ_IOAS_BACKEND_H_
