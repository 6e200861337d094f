// Another process dies while it changes what the device reaches, and what strangers pass as a
// host's file.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "fuzz/soft_device_program.h"
#include "fuzz/system.h"
#include "ioas/soft/soft_backend.h"

namespace fuzz {
namespace {

constexpr uint64_t kWindow = uint64_t{1} << 40;
constexpr uint64_t kWindowPages = 64;
constexpr int kMaxDeaths = 1;

// The process ends where the IOMMU is to be changed, with the address space's lock.
class DyingBackend final : public ioas::Backend {
 public:
  ioas::Status Map(const ioas::IoasHandle&, const ioas::Mapping&) override { _exit(0); }
  ioas::Status Unmap(const ioas::IoasHandle&, const ioas::Mapping&) override { _exit(0); }
  ioas::Status MapRun(const ioas::IoasHandle&, const ioas::PageRun&) override { _exit(0); }
  ioas::Status UnmapRange(const ioas::IoasHandle&, const ioas::IovaRange&) override { _exit(0); }
  void Discard(const ioas::IoasHandle&, const ioas::IovaRange&) override {}
};

struct NoSink final : ioas::PageRunSink {
  void OnRun(uint64_t /*user_address*/, uint64_t /*pages*/) override {}
};

ioas::PageRun RunOf(uint64_t first, uint64_t pages, uint64_t user_address) {
  const uint64_t iova = kWindow + first * kDevicePage;
  return {.iovas = {iova, iova + pages * kDevicePage - 1},
          .user_address = user_address,
          .access = ioas::kAccessRead,
          .pin = std::nullopt};
}

}  // namespace

// Runs `last_call` in a process of its own, which dies in it.
template <typename Call>
void Program::DieIn(Call last_call) {
  const pid_t child = fork();
  FUZZ_REQUIRE(child >= 0);
  if (child == 0) {
    DyingBackend backend;
    ioas::AddressSpace space(host_.arena(), host_.space(), &backend);
    ioas::AddressSpace::Lock lock(space);
    last_call(space);
    _exit(0);
  }
  FUZZ_REQUIRE(StatusOf(child) == 0);
}

void Program::Die() {
  if (++deaths_ > kMaxDeaths) return;
  const uint64_t iova = TakeIova();
  const auto there = reference_.pages.find(iova);
  if (input_.TakeBelow(2) != 0) return DieWithWindow();
  if (there == reference_.pages.end()) {
    // A mapping that was not made yet.
    DieIn([&](ioas::AddressSpace& space) {
      (void)space.Map({iova, iova + kDevicePage - 1, around_.base(), 0, 3, 0});
    });
  } else {
    const uint64_t first = there->second.first;
    DieIn([&](ioas::AddressSpace& space) {
      (void)space.Unmap(*space.mappings().FindContaining(first));
    });
    // Nobody knows whether it is still there: it is not.
    std::erase_if(reference_.pages, [&](const auto& page) { return page.second.first == first; });
  }
  ioas::AddressSpace space(host_.arena(), host_.space());
  ioas::AddressSpace::Lock lock(space);
  FUZZ_REQUIRE(space.mappings().Validate());
  FUZZ_REQUIRE(space.statistics().bytes_mapped == reference_.pages.size() * kDevicePage);
}

void Program::DieWithWindow() {
  const uint64_t first = input_.TakeBelow(kWindowPages - 8);
  const uint64_t pages = 1 + input_.TakeBelow(8);
  const uint64_t lost_first = input_.TakeBelow(kWindowPages - 8);
  const uint64_t lost_pages = 1 + input_.TakeBelow(8);
  // Pages that are not there cannot be led to.
  if (reference_.hole) return;
  NoSink nobody;
  ioas::soft::SoftBackend backend(host_.host().processes());
  ioas::AddressSpace space(host_.arena(), host_.space(), &backend);
  {
    ioas::AddressSpace::Lock lock(space);
    FUZZ_REQUIRE(space.AddWindow(1, kWindow, kWindowPages, 12, 0).ok());
    FUZZ_REQUIRE(space.MapRun(1, RunOf(first, pages, around_.base()), nobody).ok());
  }
  const bool is_map = input_.TakeBelow(2) == 0;
  DieIn([&](ioas::AddressSpace& dying) {
    const ioas::PageRun run = RunOf(lost_first, lost_pages, around_.base());
    (void)(is_map ? dying.MapRun(1, run, nobody) : dying.UnmapRun(1, run.iovas, nobody));
  });
  ioas::AddressSpace::Lock lock(space);
  uint64_t left = 0;
  for (uint64_t page = 0; page < kWindowPages; ++page) {
    const uint64_t iova = kWindow + page * kDevicePage;
    const bool is_lost = page >= lost_first && page < lost_first + lost_pages;
    const bool is_mapped = page >= first && page < first + pages && !is_lost;
    FUZZ_REQUIRE(space.Translate(iova, ioas::kAccessRead).ok() == is_mapped);
    if (is_mapped) ++left;
  }
  FUZZ_REQUIRE(space.window(1).table.mapped == left);
  FUZZ_REQUIRE(space.statistics().bytes_mapped == (reference_.pages.size() + left) * kDevicePage);
  space.RemoveWindow(1, nobody);
}

// A file that is no arena is refused, and one that is can be mapped twice.
void Program::Join() {
  ioas::Result<ioas::Arena> second = ioas::Arena::Map(host_.file(), size_t{1} << 25);
  FUZZ_REQUIRE(second.ok());
  second->Unmap();
  const int file = memfd_create("stranger", MFD_CLOEXEC);
  // What comes behind the first bytes stays 0, so that no version is right.
  const auto magic = input_.Take<uint32_t>();
  const uint32_t size = input_.TakeBelow(3) * kDevicePage + input_.TakeBelow(2);
  FUZZ_REQUIRE(ftruncate(file, size) == 0);
  FUZZ_REQUIRE(size < sizeof(magic) || pwrite(file, &magic, sizeof(magic), 0) == sizeof(magic));
  ioas::Result<ioas::Arena> arena = ioas::Arena::Map(file, size_t{1} << 25);
  const bool is_empty = size == 0 || (size >= kDevicePage && magic == 0);
  FUZZ_REQUIRE(arena.ok() ? is_empty : arena.error().code == EPROTO && !is_empty);
  if (arena.ok()) arena->Unmap();
  close(file);
}

}  // namespace fuzz
