#include "tests/faults/call_sequence.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "tests/faults/host_picture.h"

namespace tests {

namespace abi = compat::abi;
using compat::soft::TestHost;

namespace {

constexpr uint64_t kPage = 4096;
// Of memory that any window's pages but the largest may lead to.
constexpr uint64_t kAlignment = 1 << 16;
// No call needs as much.
constexpr uint64_t kMostFaults = 1000;

compat::settings::Settings BothKinds() {
  compat::settings::Settings settings;
  settings.container = compat::settings::ContainerTypes::kBoth;
  return settings;
}

}  // namespace

FaultyHost::FaultyHost() : personality_(BothKinds()), host_(personality_) {
  mapped_ = mmap(nullptr, kFaultyMemory + kAlignment, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  memory_ = (reinterpret_cast<uint64_t>(mapped_) + kAlignment - 1) & -kAlignment;
}

FaultyHost::~FaultyHost() { munmap(mapped_, kFaultyMemory + kAlignment); }

uint64_t FaultyHost::LockedBytes() {
  const ioas::ProcessTable processes = host_.platform().processes();
  return processes.locked_bytes(*host_.host().OwnProcess());
}

uint64_t FaultyHost::Run(const std::vector<Step>& steps, Fault& fault, int error) {
  uint64_t failures = 0;
  for (const Step& step : steps) {
    const std::string before = PictureOf(host_);
    for (uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE(step.name + ", fault " + std::to_string(nth));
      fault.Arm(nth);
      const long result = step.call();
      fault.Disarm();
      if (result >= 0) break;
      EXPECT_EQ(result, -error) << strerrorname_np(static_cast<int>(-result));
      EXPECT_EQ(Difference(before, PictureOf(host_)), "");
      ++failures;
      if (testing::Test::HasFailure() || nth == kMostFaults) return failures;
    }
  }
  return failures;
}

long FaultyHost::Map(uint64_t iova, uint64_t size) {
  abi::DmaMap map = {.argsz = sizeof(map),
                     .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                     .vaddr = memory_,
                     .iova = iova,
                     .size = size};
  return host_.Ioctl(container_, abi::kIommuMapDma, &map);
}

long FaultyHost::Unmap(uint64_t iova, uint64_t size, uint32_t flags) {
  abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size};
  return host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap);
}

long FaultyHost::TrackDirty(uint32_t flags) {
  abi::DirtyBitmap dirty = {.argsz = sizeof(dirty), .flags = flags};
  return host_.Ioctl(container_, abi::kIommuDirtyPages, &dirty);
}

long FaultyHost::MemoryCall(uint32_t request, uint64_t offset, uint64_t size) {
  abi::SpaprRegisterMemory memory = {
      .argsz = sizeof(memory), .flags = 0, .vaddr = memory_ + offset, .size = size};
  return host_.Ioctl(container_, request, &memory);
}

long FaultyHost::Register(uint64_t offset, uint64_t size) {
  return MemoryCall(abi::kIommuSpaprRegisterMemory, offset, size);
}

long FaultyHost::Unregister(uint64_t offset, uint64_t size) {
  return MemoryCall(abi::kIommuSpaprUnregisterMemory, offset, size);
}

long FaultyHost::CreateWindow(uint32_t page_shift, uint64_t size) {
  abi::SpaprTceCreate create = {.argsz = sizeof(create),
                                .flags = 0,
                                .page_shift = page_shift,
                                .resv1 = 0,
                                .window_size = size,
                                .levels = 1,
                                .resv2 = 0,
                                .start_addr = 0};
  const long result = host_.Ioctl(container_, abi::kIommuSpaprTceCreate, &create);
  if (result == 0) window_ = create.start_addr;
  return result;
}

long FaultyHost::RemoveWindow(uint64_t start) {
  abi::SpaprTceRemove remove = {.argsz = sizeof(remove), .flags = 0, .start_addr = start};
  return host_.Ioctl(container_, abi::kIommuSpaprTceRemove, &remove);
}

std::vector<Step> FaultyHost::Opening(uint32_t type) {
  return {
      {"open of a container", [this] { return container_ = host_.OpenContainer(); }},
      {"open of a group", [this] { return group_ = host_.OpenGroup(TestHost::kGroup); }},
      {"SET_CONTAINER",
       [this] { return host_.Ioctl(group_, abi::kGroupSetContainer, &container_); }},
      {"SET_IOMMU",
       [this, type] { return host_.Ioctl(container_, abi::kSetIommu, uint64_t{type}); }},
      {"GET_DEVICE_FD", [this] { return device_ = host_.OpenDevice(group_, TestHost::kDevice); }},
  };
}

std::vector<Step> FaultyHost::Closing() {
  return {
      {"close of the device", [this] { return host_.Close(device_), 0; }},
      {"close of the group", [this] { return host_.Close(group_), 0; }},
      {"close of the container", [this] { return host_.Close(container_), 0; }},
  };
}

void FaultyHost::AddMaps(std::vector<Step>& steps, const char* what, int count, uint64_t first,
                         uint64_t stride) {
  for (int i = 0; i < count; ++i) {
    const uint64_t iova = first + static_cast<uint64_t>(i) * stride;
    steps.push_back(
        {std::string(what) + " " + std::to_string(i), [this, iova] { return Map(iova, kPage); }});
  }
}

std::vector<Step> FaultyHost::Type1Life() {
  std::vector<Step> steps = Opening(abi::kType1v2Iommu);
  // Enough for leaves and branches of the index to be split.
  AddMaps(steps, "MAP", 200, 0, 2 * kPage);
  steps.push_back({"START", [this] { return TrackDirty(abi::kIommuDirtyPagesFlagStart); }});
  AddMaps(steps, "MAP while dirty pages are tracked", 20, kPage, 4 * kPage);
  steps.push_back({"UNMAP", [this] { return Unmap(0, 64 * kPage); }});
  steps.push_back({"STOP", [this] { return TrackDirty(abi::kIommuDirtyPagesFlagStop); }});
  AddMaps(steps, "MAP again", 20, 0, kPage);
  steps.push_back({"UNMAP of all", [this] { return Unmap(0, 0, abi::kDmaUnmapFlagAll); }});
  AddMaps(steps, "MAP before the end", 20, 0, kPage);
  for (const Step& step : Closing()) steps.push_back(step);
  return steps;
}

std::vector<Step> FaultyHost::SpaprLife() {
  std::vector<Step> steps = Opening(abi::kSpaprTceV2Iommu);
  for (uint64_t i = 0; i < 32; ++i) {
    steps.push_back({"REGISTER_MEMORY " + std::to_string(i),
                     [this, i] { return Register(i * 2 * kPage, 2 * kPage); }});
  }
  // Otherwise the first MAP makes the default window, and leaves it there if it fails.
  steps.push_back({"UNMAP of nothing", [this] { return Unmap(0, 0); }});
  // Each in a leaf of the window's page table of its own, and some below another branch.
  AddMaps(steps, "MAP", 8, 0, 512 * kPage);
  AddMaps(steps, "MAP far away", 3, uint64_t{1} << 30, uint64_t{512} * 1024 * 64);
  steps.push_back({"CREATE", [this] { return CreateWindow(16, uint64_t{1} << 34); }});
  steps.push_back(
      {"UNREGISTER_MEMORY of what is mapped", [this] { return Unregister(0, 2 * kPage); }});
  steps.push_back({"UNREGISTER_MEMORY", [this] { return Unregister(2 * kPage, 2 * kPage); }});
  AddMaps(steps, "MAP of what is left behind", 2, kPage, kPage);
  steps.push_back({"UNMAP", [this] { return Unmap(0, 1024 * kPage); }});
  steps.push_back({"REMOVE", [this] { return RemoveWindow(window_); }});
  steps.push_back({"CREATE again", [this] { return CreateWindow(12, uint64_t{1} << 30); }});
  for (const Step& step : Closing()) steps.push_back(step);
  return steps;
}

}  // namespace tests
