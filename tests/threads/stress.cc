#include "tests/threads/stress.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tests {
namespace {

constexpr int kThreads = 8;
constexpr uint64_t kStripePages = 4096;
constexpr uint64_t kStripe = kStripePages * kStressPage;

// What type 1 version 2 has to answer in one stripe of IOVAs: mappings by their first page, with
// their number of pages.
class Model {
 public:
  // 0 or the errno of mapping these pages.
  int Map(uint64_t page, uint64_t count) {
    const auto after = mappings_.lower_bound(page);
    if (after != mappings_.end() && after->first < page + count) return EEXIST;
    if (after != mappings_.begin() && End(*std::prev(after)) > page) return EEXIST;
    mappings_[page] = count;
    return 0;
  }

  // The pages that unmapping these takes away, or the negative errno: it never splits a mapping.
  int64_t Unmap(uint64_t page, uint64_t count) {
    auto each = mappings_.lower_bound(page);
    if (each != mappings_.begin() && End(*std::prev(each)) > page) return -EINVAL;
    auto last = mappings_.lower_bound(page + count);
    if (last != mappings_.begin() && End(*std::prev(last)) > page + count) return -EINVAL;
    int64_t pages = 0;
    for (auto gone = each; gone != last; ++gone) pages += static_cast<int64_t>(gone->second);
    mappings_.erase(each, last);
    return pages;
  }

  const std::map<uint64_t, uint64_t>& mappings() const { return mappings_; }

 private:
  static uint64_t End(const std::pair<const uint64_t, uint64_t>& mapping) {
    return mapping.first + mapping.second;
  }

  std::map<uint64_t, uint64_t> mappings_;
};

// One thread: its stripe, its model, and the first answer that was wrong.
struct Worker {
  Worker(StressedContainer& stressed, uint64_t first_iova, unsigned seed)
      : container(stressed), first(first_iova), random(seed) {}

  void Run(std::chrono::steady_clock::time_point end);
  void MapSomewhere();
  void UnmapSomewhere();
  uint64_t Iova(uint64_t page) const { return first + page * kStressPage; }
  uint64_t Pick(uint64_t count) { return random() % count; }

  StressedContainer& container;
  const uint64_t first;
  std::mt19937 random;
  Model model;
  uint64_t calls = 0;
  std::string wrong;
};

void Worker::MapSomewhere() {
  const uint64_t count = 1 + Pick(kStressMemory / kStressPage);
  const uint64_t page = Pick(kStripePages - count);
  const int expected = model.Map(page, count);
  const int answer = container.Map(Iova(page), count * kStressPage);
  if (answer == expected) return;
  wrong = "map of " + std::to_string(count) + " pages at page " + std::to_string(page) + ": " +
          std::to_string(answer) + " instead of " + std::to_string(expected);
}

void Worker::UnmapSomewhere() {
  const uint64_t count = 1 + Pick(64);
  const uint64_t page = Pick(kStripePages - count);
  const int64_t pages = model.Unmap(page, count);
  const int64_t expected = pages > 0 ? pages * static_cast<int64_t>(kStressPage) : pages;
  const int64_t answer = container.Unmap(Iova(page), count * kStressPage);
  if (answer == expected) return;
  wrong = "unmap of " + std::to_string(count) + " pages at page " + std::to_string(page) + ": " +
          std::to_string(answer) + " instead of " + std::to_string(expected);
}

void Worker::Run(std::chrono::steady_clock::time_point end) {
  while (wrong.empty() && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 64 && wrong.empty(); ++i, ++calls) {
      if (Pick(2) == 0) {
        MapSomewhere();
      } else {
        UnmapSomewhere();
      }
    }
  }
}

// Takes away what the model says is there, and finds nothing else.
void ExpectEndsAs(StressedContainer& container, const Worker& worker) {
  uint64_t next = 0;
  const auto expect_hole = [&](uint64_t end) {
    if (next == end) return;
    EXPECT_EQ(container.Unmap(worker.Iova(next), (end - next) * kStressPage), 0);
  };
  for (const auto& [page, count] : worker.model.mappings()) {
    expect_hole(page);
    EXPECT_EQ(container.Unmap(worker.Iova(page), count * kStressPage),
              static_cast<int64_t>(count * kStressPage));
    next = page + count;
  }
  expect_hole(kStripePages);
}

}  // namespace

int StressSeconds() {
  const char* const seconds = std::getenv("VFIO_COMPAT_STRESS_SECONDS");
  return seconds != nullptr ? std::atoi(seconds) : 2;
}

void Stress(StressedContainer& container, uint64_t first, int seconds) {
  const int64_t available = container.Available();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    workers.push_back(std::make_unique<Worker>(container, first + i * kStripe, i));
    threads.emplace_back(&Worker::Run, workers.back().get(), end);
  }
  for (std::thread& thread : threads) thread.join();

  int64_t live = 0;
  uint64_t calls = 0;
  for (const auto& worker : workers) {
    EXPECT_EQ(worker->wrong, "");
    live += static_cast<int64_t>(worker->model.mappings().size());
    calls += worker->calls;
  }
  EXPECT_EQ(container.Available(), available - live);
  for (const auto& worker : workers) ExpectEndsAs(container, *worker);
  EXPECT_EQ(container.Available(), available);
  std::printf("%llu calls, %lld mappings at the end\n", static_cast<unsigned long long>(calls),
              static_cast<long long>(live));
}

}  // namespace tests
