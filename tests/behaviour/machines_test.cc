// Programs of one machine on the host of another: windows in an x86 machine's aperture, an x86
// guest's memory on a POWER machine, and devices that do not reach the same.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "tests/behaviour/fixture.h"
#include "tests/behaviour/legacy.h"
#include "tests/behaviour/native.h"
#include "tests/behaviour/software_host.h"

namespace tests {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr char kLogFile[] = "VFIO_COMPAT_LOG_FILE";
// What main() gives as VFIO_COMPAT_TCE64_START.
constexpr uint64_t kTce64Start = 4 * kGiB;
constexpr uint64_t kHighWindow = uint64_t{1} << 59;

// What a guest of 4 GiB has, all of it the same 2 MiB of memory.
class GuestMemory {
 public:
  static constexpr uint64_t kSize = 4 * kGiB;

  GuestMemory() {
    const int fd = memfd_create("guest", MFD_CLOEXEC);
    EXPECT_EQ(ftruncate(fd, kPiece), 0);
    data_ = static_cast<std::byte*>(
        mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (uint64_t done = 0; done < kSize; done += kPiece) {
      EXPECT_NE(mmap(data_ + done, kPiece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
                MAP_FAILED);
    }
    close(fd);
  }
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory() { munmap(data_, kSize); }

  std::byte* data() const { return data_; }

 private:
  static constexpr uint64_t kPiece = 2 << 20;
  std::byte* data_;
};

// What the library has logged since this was made.
class NewLogLines {
 public:
  NewLogLines() : begin_(Size()) {}

  bool Have(const std::string& text) const {
    std::ifstream log(Path());
    log.seekg(begin_);
    const std::string all(std::istreambuf_iterator<char>(log), {});
    return all.find(text + "\n") != std::string::npos;
  }

 private:
  static const char* Path() { return std::getenv(kLogFile); }
  static std::streamoff Size() { return std::ifstream(Path(), std::ios::ate).tellg(); }

  std::streamoff begin_;
};

// A POWER program's container, of the x86 machine's device.
class PowerOnX86Test : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(client_.container.is_open()); }

  int container() const { return client_.container.get(); }
  // Returns where it starts; nothing, with errno, if there is none.
  std::optional<uint64_t> Create(uint32_t page_shift, uint64_t size) const {
    vfio_iommu_spapr_tce_create create = {};
    create.argsz = sizeof(create);
    create.page_shift = page_shift;
    create.window_size = size;
    create.levels = 1;
    if (ioctl(container(), VFIO_IOMMU_SPAPR_TCE_CREATE, &create) != 0) return std::nullopt;
    return create.start_addr;
  }
  bool Remove(uint64_t start) const {
    vfio_iommu_spapr_tce_remove remove = {};
    remove.argsz = sizeof(remove);
    remove.start_addr = start;
    return ioctl(container(), VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove) == 0;
  }
  bool Register(const std::byte* memory, uint64_t size) const {
    vfio_iommu_spapr_register_memory region = {};
    region.argsz = sizeof(region);
    region.vaddr = reinterpret_cast<uint64_t>(memory);
    region.size = size;
    return ioctl(container(), VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &region) == 0;
  }

  const LegacyPlace place_ = PlaceOf(Machine::kX86);
  const Client client_ = MakeClient(place_.group, VFIO_SPAPR_TCE_v2_IOMMU);
};

TEST_F(PowerOnX86Test, TheSecondWindowLiesWhereTheOperatorSaysAndInTheAperture) {
  EXPECT_EQ(Create(21, uint64_t{1} << 38), kTce64Start);
  ASSERT_TRUE(Remove(kTce64Start));
  const NewLogLines lines;
  EXPECT_FALSE(Create(21, uint64_t{1} << 39));
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_TRUE(
      lines.Have(": no place is large enough; 0x4000000000-0x7fffffffff would do, the "
                 "largest that there is"));
  EXPECT_EQ(Create(12, uint64_t{1} << 28), kTce64Start);
  const Memory memory((NvmeDriver::kQueuePages + 1) * kPage);
  ASSERT_TRUE(Register(memory.data(), memory.size()));
  ASSERT_EQ(MapDma(container(), memory.data(), kTce64Start, memory.size()), 0);
  const Descriptor device = client_.OpenDevice(place_.address.c_str());
  NvmeDriver driver(memory.data(), kTce64Start);
  ASSERT_TRUE(driver.Start(device.get()));
  std::byte* const page = memory.data() + NvmeDriver::kQueuePages * kPage;
  constexpr uint64_t kPageIova = kTce64Start + NvmeDriver::kQueuePages * kPage;
  std::fill_n(page, kPage, std::byte{0x5a});
  ASSERT_EQ(driver.WriteDisk(0, kPageIova), 0);
  std::fill_n(page, kPage, std::byte{0});
  ASSERT_EQ(driver.ReadDisk(0, kPageIova), 0);
  EXPECT_EQ(std::count(page, page + kPage, std::byte{0x5a}), static_cast<ptrdiff_t>(kPage));
  ASSERT_EQ(UnmapDma(container(), kPageIova, kPage), static_cast<int64_t>(kPage));
  EXPECT_NE(driver.ReadDisk(0, kPageIova), 0);
}

TEST_F(PowerOnX86Test, AWindowLeavesTheInterruptsOut) {
  constexpr uint32_t kShift = 16;
  constexpr uint64_t kTcePage = 1 << kShift;
  ASSERT_TRUE(Remove(0));
  ASSERT_EQ(Create(kShift, 8 * kGiB), 0u);
  const Memory memory(2 * kTcePage);
  std::byte* const page =
      memory.data() + (-reinterpret_cast<uint64_t>(memory.data()) & (kTcePage - 1));
  ASSERT_TRUE(Register(page, kTcePage));
  for (const uint64_t iova : {0xfee00000, 0xfeef0000}) {
    EXPECT_EQ(MapDma(container(), page, iova, kTcePage), EINVAL) << std::hex << iova;
  }
  for (const uint64_t iova : {0xfedf0000UL, 0xfef00000UL, 5 * kGiB}) {
    EXPECT_EQ(MapDma(container(), page, iova, kTcePage), 0) << std::hex << iova;
  }
}

// A guest that has its memory from 0 on, as x86 machines do.
class X86OnPowerTest : public BehaviourTest {
 protected:
  static bool IsLegacy() { return GetParam().name == std::string("type1v2"); }
};

TEST_P(X86OnPowerTest, AGuestsMemoryFitsTheHighWindowAndNotTheLow) {
  const std::vector<IovaRange> told = mode().UsableRanges();
  ASSERT_EQ(told, (std::vector<IovaRange>{{0, 2 * kGiB - 1},
                                          {kHighWindow, kHighWindow + (uint64_t{1} << 55) - 1}}));
  const GuestMemory guest;
  driver().Close();
  UnmapDriver();
  const NewLogLines lines;
  EXPECT_EQ(mode().Map(0, guest.data(), GuestMemory::kSize), answers().map_outside);
  if (IsLegacy()) {
    EXPECT_TRUE(
        lines.Have(": 0x0-0xffffffff is not usable; 0x800000000000000-0x8000000ffffffff would do"));
  }
  EXPECT_EQ(mode().UsableRanges(), told);
  // Nothing of it is there.
  MapDriver();
  ASSERT_TRUE(driver().Start(mode().device()));
  ASSERT_EQ(mode().Map(told[1].first, guest.data(), GuestMemory::kSize), 0);
  EXPECT_TRUE(Reaches(told[1].first, guest.data()));
  constexpr uint64_t kLast = GuestMemory::kSize - kPage;
  EXPECT_TRUE(Reaches(told[1].first + kLast, guest.data() + kLast));
  EXPECT_EQ(mode().Unmap(told[1].first, GuestMemory::kSize), (Unmapped{0, GuestMemory::kSize}));
}

INSTANTIATE_TEST_SUITE_P(
    Modes, X86OnPowerTest,
    testing::Values(
        NamedMode{"type1v2", [] { return MakeType1(PlaceOf(Machine::kPower), VFIO_TYPE1v2_IOMMU); },
                  false},
        NamedMode{"native", [] { return MakeNative(PlaceOf(Machine::kPower).address, false); },
                  false}),
    [](const auto& info) { return info.param.name; });

// An x86 device, and one of a POWER machine that is to share its address space.
using TwoMachinesTest = BehaviourTest;

TEST_P(TwoMachinesTest, ADeviceThatDoesNotReachWhatIsMappedIsRefused) {
  constexpr uint64_t kBetween = 3 * kGiB;  // in the x86 device's reach only
  const LegacyPlace power = PlaceOf(Machine::kPower);
  const std::vector<IovaRange> told = mode().UsableRanges();
  ASSERT_EQ(mode().Map(kBetween, page(0), kPage), 0);
  ASSERT_EQ(mode().Join(power.address, power.group), answers().join_out_of_reach);
  mode().Leave();
  EXPECT_EQ(mode().UsableRanges(), told);
  EXPECT_TRUE(Reaches(kBetween, page(0)));
  ASSERT_EQ(mode().Map(kBetween + kPage, page(1), kPage), 0);
  EXPECT_TRUE(Reaches(kBetween + kPage, page(1)));
}

TEST_P(TwoMachinesTest, DevicesTogetherReachWhatEachDoes) {
  const LegacyPlace power = PlaceOf(Machine::kPower);
  const std::vector<IovaRange> told = mode().UsableRanges();
  ASSERT_EQ(mode().Join(power.address, power.group), 0);
  EXPECT_EQ(mode().UsableRanges(), (std::vector<IovaRange>{{0, 2 * kGiB - 1}}));
  EXPECT_EQ(mode().Map(3 * kGiB, page(0), kPage), answers().map_outside);
  EXPECT_EQ(mode().Map(kHighWindow, page(0), kPage), answers().map_outside);
  ASSERT_EQ(mode().Map(kIova, page(0), kPage), 0);
  EXPECT_TRUE(Reaches(kIova, page(0)));
  // By the other one as well.
  driver().Close();
  ASSERT_TRUE(driver().Start(mode().other_device()));
  EXPECT_TRUE(Reaches(kIova, page(0)));
  driver().Close();
  mode().Leave();
  EXPECT_EQ(mode().UsableRanges(), told);
  EXPECT_EQ(mode().Map(3 * kGiB, page(0), kPage), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Modes, TwoMachinesTest,
    testing::Values(NamedMode{"type1v2",
                              [] { return MakeType1(PlaceOf(Machine::kX86), VFIO_TYPE1v2_IOMMU); },
                              true},
                    NamedMode{"native",
                              [] { return MakeNative(PlaceOf(Machine::kX86).address, false); },
                              true}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tests

int main(int argc, char** argv) {
  const char* const folder = std::getenv("TEST_TMPDIR");
  const std::string log = std::string(folder != nullptr ? folder : "/tmp") + "/machines_test.log";
  return tests::RunOnSoftwareHost(
      argv,
      {{"VFIO_COMPAT_TCE64_START", "4G"}, {"VFIO_COMPAT_LOG", "debug"}, {tests::kLogFile, log}},
      [&] {
        testing::InitGoogleTest(&argc, argv);
        return RUN_ALL_TESTS();
      });
}
