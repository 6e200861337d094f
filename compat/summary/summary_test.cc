#include "compat/summary/summary.h"

#include <gtest/gtest.h>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "ioas/soft/faults.h"
#include "ioas/soft/soft_host.h"

namespace compat::summary {
namespace {

TEST(SummaryTest, AHostThatDidNothingSaysSo) {
  soft::TestHost host;
  EXPECT_EQ(Summarize(host.host()),
            "vfio-compat: summary\nno container had an IOMMU\nDMA faults: 0\n");
}

TEST(SummaryTest, LivingAndEndedContainersAreListedInTheirOrder) {
  soft::TestHost host;
  int group = -1;
  const int first = host.ContainerOfType(1, group);
  const int first_group = group;
  alignas(4096) static std::byte memory[4096];
  abi::DmaMap map{};
  map.argsz = sizeof(map);
  map.flags = abi::kDmaMapFlagRead;
  map.vaddr = reinterpret_cast<uintptr_t>(memory);
  map.size = sizeof(memory);
  ASSERT_EQ(host.Ioctl(first, abi::kIommuMapDma, &map), 0);
  host.Close(first);
  host.Close(first_group);
  host.ContainerOfType(3, group);
  const std::string text = Summarize(host.host());
  const size_t ended = text.find("container 1: type1, opened by process ");
  ASSERT_NE(ended, std::string::npos) << text;
  EXPECT_NE(text.find("mappings: 1 made, 1 live, 4096 bytes live", ended), std::string::npos)
      << text;
  const size_t living = text.find("container 2: type1v2");
  ASSERT_NE(living, std::string::npos) << text;
  EXPECT_LT(ended, living);
  EXPECT_NE(text.find("mappings: 0 made", living), std::string::npos) << text;
}

TEST(SummaryTest, UnknownCallsAreNamedWhereTheNumberMeansSomethingElsewhere) {
  soft::TestHost host;
  int group = -1;
  const int container = host.ContainerOfType(3, group);
  EXPECT_EQ(host.Ioctl(container, ';' << 8 | 120, uint64_t{0}), -ENOTTY);
  EXPECT_NE(Summarize(host.host()).find("unknown calls: 1, the last was 0x3b78 (VFIO_"),
            std::string::npos);
}

TEST(SummaryTest, FaultsNameDeviceIovaDirectionAndReason) {
  soft::TestHost host;
  const ioas::soft::FaultRecord fault = {.iova = 0x7000001000,
                                         .device = ioas::soft::PciAddress{0, 0, 5, 0}.number(),
                                         .direction = ioas::kAccessWrite,
                                         .reason = ioas::soft::FaultReason::kRefused,
                                         .count = 0,
                                         .pasid = ioas::soft::kNoPasid};
  auto log = host.host().arena().Get(host.host().state().soft)->faults();
  log.Record(fault);
  log.Record(fault);
  EXPECT_NE(Summarize(host.host())
                .find("DMA faults: 2\n  0000:00:05.0, IOVA 0x7000001000, write, 2 times: refused"),
            std::string::npos)
      << Summarize(host.host());
  ioas::soft::FaultRecord other = fault;
  other.pasid = 7;
  log.Record(other);
  EXPECT_NE(
      Summarize(host.host()).find("  0000:00:05.0, PASID 7, IOVA 0x7000001000, write, 1 time"),
      std::string::npos);
}

TEST(SummaryTest, GroupsThatAnErrorFrozeAreCounted) {
  soft::TestHost host;
  int descriptor = -1;
  host.ContainerOfType(3, descriptor);
  const auto group = host.platform().FindGroup(soft::TestHost::kGroup);
  ASSERT_TRUE(group.ok());
  ioas::GroupErrors& errors = host.platform().ErrorsOf(*group);
  errors.OnFault();
  EXPECT_EQ(Summarize(host.host()).find("frozen"), std::string::npos);
  errors.bits = ioas::kFreezesOnFault;
  errors.OnFault();
  errors.OnFault();
  EXPECT_NE(Summarize(host.host()).find("\ngroup 7: frozen by an error 1 time, and still is\n"),
            std::string::npos);
  errors.bits = ioas::kFreezesOnFault;
  errors.OnFault();
  host.Close(descriptor);
  EXPECT_NE(Summarize(host.host()).find("\ngroup 7: frozen by an error 2 times\n"),
            std::string::npos)
      << Summarize(host.host());
}

}  // namespace
}  // namespace compat::summary
