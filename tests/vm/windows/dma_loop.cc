// A device does DMA in a loop to pages of a window that nobody touches, while those beside them are
// replaced, unmapped and mapped again. Every transfer has to arrive.
//
//   dma_loop GROUP DEVICE SECONDS [unmapped]
//
// GROUP is the number of a group, DEVICE its NVMe controller's PCI address. The library or a kernel
// with SPAPR TCE containers answers. Works in rounds: in each, a run of pages is mapped by one
// call, and cut up from then on. With `unmapped`, a transfer to a page that is not mapped follows
// at the end, which must not arrive. Prints what was done; the status is 1 if something was not as
// it has to be.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "tests/support/nvme_driver.h"
#include "tests/vm/windows/container.h"

namespace {

using tests::kPage;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kIova = 0x100000;
constexpr uint64_t kPages = 64;
// Page N of the run leads to page N of the memory; pages that were replaced lead to those behind.
constexpr uint64_t kOtherMemory = kPages;

// Pages that stay as they are: the queues, and what the device writes to. All others come and go,
// in stretches that end where these begin.
constexpr uint64_t kQueues = 8;
constexpr uint64_t kTargets[] = {21, 22, 40};
struct Stretch {
  uint64_t first;
  uint64_t pages;
};
constexpr Stretch kStretches[] = {{0, kQueues}, {12, 9}, {23, 17}, {41, kPages - 41}};
static_assert(kQueues + tests::NvmeDriver::kQueuePages == kStretches[1].first);

constexpr auto kRound = std::chrono::milliseconds(20);
constexpr std::byte kBefore{0xa5};

uint64_t IovaOf(uint64_t page) { return kIova + page * kPage; }

// Replaces, unmaps and maps stretches and single pages of them until `done`. Returns how often.
uint64_t DisturbNeighbours(const tests::SpaprContainer& container, unsigned seed,
                           const std::atomic<bool>& done) {
  std::minstd_rand random(seed);
  const auto below = [&random](uint64_t bound) { return random() % bound; };
  uint64_t changes = 0;
  for (; !done; ++changes) {
    const Stretch& stretch = kStretches[below(std::size(kStretches))];
    const uint64_t first = stretch.first + below(stretch.pages);
    const uint64_t pages = 1 + below(stretch.first + stretch.pages - first);
    if (below(3) == 0) {
      container.Unmap(IovaOf(first), pages);
    } else {
      container.Map(IovaOf(first), pages, first + below(2) * kOtherMemory);
    }
  }
  return changes;
}

class Loop {
 public:
  Loop(const char* group, const char* device)
      : container_(group, device, 2 * kPages * kPage),
        controller_(container_.PageOfMemory(kQueues), IovaOf(kQueues)) {
    container_.Map(kIova, kPages, 0);
    if (!controller_.Start(container_.device())) tests::Die("the controller");
    if (!Transfer(kTargets[0])) tests::Die("the first transfer");
    const volatile std::byte* const page = container_.PageOfMemory(kTargets[0]);
    expected_.assign(page, page + kPage);
  }

  // Goes on for that long. Returns whether every transfer arrived.
  bool Run(std::chrono::seconds duration) {
    const auto end = Clock::now() + duration;
    while (Clock::now() < end) {
      if (!Round()) return false;
    }
    std::printf("%" PRIu64 " transfers, %" PRIu64 " changes beside them, %" PRIu64 " rounds\n",
                transfers_, changes_, rounds_);
    return true;
  }

  // Whether a transfer to a page that is not mapped does not arrive.
  bool MissesUnmappedPage() {
    container_.Unmap(IovaOf(kTargets[0]), 1);
    const bool arrived = Transfer(kTargets[0]);
    std::printf("a transfer to a page that is not mapped %s\n",
                arrived ? "arrived" : "did not arrive");
    return !arrived;
  }

 private:
  bool Round() {
    // Nothing is under way, so even what the queues are on can be mapped anew.
    container_.Map(kIova, kPages, 0);
    std::atomic<bool> done{false};
    uint64_t changes = 0;
    std::thread neighbours(
        [&] { changes = DisturbNeighbours(container_, static_cast<unsigned>(rounds_), done); });
    const auto end = Clock::now() + kRound;
    bool arrived = true;
    while (arrived && Clock::now() < end) {
      arrived = Transfer(kTargets[transfers_ % std::size(kTargets)]);
    }
    done = true;
    neighbours.join();
    changes_ += changes;
    ++rounds_;
    return arrived;
  }

  // Has the device write a page. Returns whether it arrived, all of it.
  bool Transfer(uint64_t page) {
    volatile std::byte* const memory = container_.PageOfMemory(page);
    std::fill_n(memory, kPage, kBefore);
    const std::optional<uint16_t> status = controller_.Identify(IovaOf(page));
    ++transfers_;
    if (status != 0) {
      std::printf("transfer %" PRIu64 " to page %" PRIu64 ": %s, status 0x%x\n", transfers_, page,
                  status ? "it failed" : "no answer", unsigned{status.value_or(0)});
      return false;
    }
    if (std::equal(expected_.begin(), expected_.end(), memory)) return true;
    std::printf("transfer %" PRIu64 " to page %" PRIu64 " is not what it has to be\n", transfers_,
                page);
    return false;
  }

  tests::SpaprContainer container_;
  tests::NvmeDriver controller_;
  std::vector<std::byte> expected_;
  uint64_t transfers_ = 0;
  uint64_t changes_ = 0;
  uint64_t rounds_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5 || (argc == 5 && std::strcmp(argv[4], "unmapped") != 0)) {
    std::fprintf(stderr, "usage: dma_loop GROUP DEVICE SECONDS [unmapped]\n");
    return 2;
  }
  Loop loop(argv[1], argv[2]);
  bool as_it_should_be = loop.Run(std::chrono::seconds(std::atoi(argv[3])));
  if (argc == 5) as_it_should_be = loop.MissesUnmappedPage() && as_it_should_be;
  return as_it_should_be ? 0 : 1;
}
