#include "compat/decode/decode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/decode/call.h"

namespace compat::decode {
namespace {

using enum DescriptorKind;
using ioas::Error;
using ioas::Status;

// Memory of `size` bytes at kBase, and nothing around it.
class FakeMemory : public CallerMemory {
 public:
  static constexpr uint64_t kBase = 0x7f0000000000;

  explicit FakeMemory(size_t size) : bytes_(size) {}

  Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override {
    ++reads_;
    if (!Holds(address, bytes.size())) return Error{EFAULT, "no such memory"};
    std::memcpy(bytes.data(), &bytes_[address - kBase], bytes.size());
    return {};
  }

  Status WriteCarefully(uint64_t address, std::span<const std::byte> bytes) override {
    if (!Holds(address, bytes.size())) return Error{EFAULT, "no such memory"};
    std::memcpy(&bytes_[address - kBase], bytes.data(), bytes.size());
    return {};
  }

  void PutWord(size_t offset, uint32_t word) {
    for (size_t i = 0; i < sizeof(word) && offset + i < bytes_.size(); ++i) {
      bytes_[offset + i] = static_cast<std::byte>(word >> 8 * i);
    }
  }
  void Fill(size_t offset, std::byte value) {
    if (offset < bytes_.size()) std::fill(bytes_.begin() + offset, bytes_.end(), value);
  }
  void PutText(const char* text) { std::memcpy(bytes_.data(), text, std::strlen(text)); }
  std::byte At(size_t offset) const { return bytes_[offset]; }
  int Reads() const { return reads_; }

 private:
  bool Holds(uint64_t address, size_t size) const {
    return address >= kBase && address - kBase <= bytes_.size() &&
           size <= bytes_.size() - (address - kBase);
  }

  std::vector<std::byte> bytes_;
  int reads_ = 0;
};

// Larger than every structure of the interfaces.
using Buffer = std::array<std::byte, 96>;

// The errno of copying a structure of `present` bytes with this argsz (or size) and flags in.
int CopyErrno(const CallRow& row, size_t present, uint32_t argsz, uint32_t flags, Buffer& out) {
  FakeMemory memory(present);
  memory.Fill(8, std::byte{0xa5});
  memory.PutWord(0, argsz);
  memory.PutWord(4, flags);
  out.fill(std::byte{0xff});
  return CopyInStruct(row, memory, FakeMemory::kBase, out).error().code;
}

TEST(DecodeTest, ArgszStructuresAreCopiedToTheMinimalSizeAndNoFurther) {
  for (const CallRow& row : AllCalls()) {
    if (row.form != ArgumentForm::kArgszStruct) continue;
    SCOPED_TRACE(row.name);
    for (uint32_t argsz = 0; argsz <= row.full_size + 16U; ++argsz) {
      Buffer out;
      // Memory ends right behind what is copied: one byte more would be EFAULT, one less is.
      EXPECT_EQ(CopyErrno(row, row.minimal_size, argsz, 0, out),
                argsz < row.minimal_size ? EINVAL : 0)
          << argsz;
      EXPECT_EQ(CopyErrno(row, row.minimal_size - 1, argsz, 0, out), EFAULT) << argsz;
    }
  }
}

// Memory that another thread of the program changes: each byte holds something else once it was
// read.
class ChangingMemory final : public FakeMemory {
 public:
  using FakeMemory::FakeMemory;

  Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override {
    const Status read = FakeMemory::ReadCarefully(address, bytes);
    for (uint64_t i = 0; read.ok() && i < bytes.size(); ++i) {
      const std::byte changed = ~bytes[i];
      (void)WriteCarefully(address + i, {&changed, 1});
    }
    return read;
  }
};

TEST(DecodeTest, NoByteIsReadTwice) {
  for (const CallRow& row : AllCalls()) {
    if (row.form != ArgumentForm::kArgszStruct && row.form != ArgumentForm::kSizeStruct) continue;
    ChangingMemory memory(row.full_size);
    memory.PutWord(0, row.full_size);
    Buffer out;
    ASSERT_TRUE(CopyInStruct(row, memory, FakeMemory::kBase, out).ok()) << row.name;
    uint32_t size = 0;
    std::memcpy(&size, out.data(), sizeof(size));
    EXPECT_EQ(size, row.full_size) << row.name;
    for (size_t i = sizeof(size); i < row.minimal_size; ++i) {
      EXPECT_EQ(out[i], std::byte{0}) << row.name << " byte " << i;
    }
  }
}

TEST(DecodeTest, WhatIsNotCopiedInIsZero) {
  for (const CallRow& row : AllCalls()) {
    if (row.form != ArgumentForm::kArgszStruct) continue;
    Buffer out;
    ASSERT_EQ(CopyErrno(row, row.full_size + 16, row.full_size, 0, out), 0) << row.name;
    const auto behind = std::span(out).subspan(row.minimal_size);
    EXPECT_TRUE(std::ranges::all_of(behind, [](std::byte b) { return b == std::byte{0}; }))
        << row.name;
    for (size_t i = 8; i < row.minimal_size; ++i) EXPECT_EQ(out[i], std::byte{0xa5}) << row.name;
  }
}

TEST(DecodeTest, FlagsTheCallDoesNotHaveAreInvalid) {
  for (const CallRow& row : AllCalls()) {
    if (row.form != ArgumentForm::kArgszStruct) continue;
    for (int bit = 0; bit < 32; ++bit) {
      const uint32_t flag = uint32_t{1} << bit;
      Buffer out;
      EXPECT_EQ(CopyErrno(row, row.minimal_size, row.minimal_size, flag, out),
                (row.flags & flag) != 0 ? 0 : EINVAL)
          << row.name << " " << bit;
    }
  }
}

// The order of iommufd_fops_ioctl: the size alone, then what of the structure exists.
int ExpectedSizeErrno(const CallRow& row, size_t present, uint32_t size) {
  if (present < sizeof(uint32_t)) return EFAULT;
  if (size < row.minimal_size) return EINVAL;
  return present < size ? EFAULT : 0;
}

TEST(DecodeTest, SizeStructuresAreCopiedToTheirOwnSize) {
  for (const CallRow& row : AllCalls()) {
    if (row.form != ArgumentForm::kSizeStruct) continue;
    SCOPED_TRACE(row.name);
    for (uint32_t size = 0; size <= row.full_size; ++size) {
      for (size_t present = 0; present <= row.full_size; ++present) {
        Buffer out;
        EXPECT_EQ(CopyErrno(row, present, size, 0, out), ExpectedSizeErrno(row, present, size))
            << size << " of " << present;
      }
    }
  }
}

TEST(DecodeTest, SizeStructuresMayBeLongerOnlyByZeroes) {
  const CallRow& row = CallsNamed("IOMMU_IOAS_MAP")[0];
  abi::iommufd::IoasMap map{};
  for (uint32_t size = row.full_size + 1U; size <= row.full_size + 2000U; size += 13) {
    FakeMemory memory(size);
    memory.PutWord(0, size);
    const auto out = std::as_writable_bytes(std::span(&map, 1));
    EXPECT_EQ(CopyInStruct(row, memory, FakeMemory::kBase, out).error().code, 0);
    EXPECT_EQ(map.size, size);
    memory.Fill(size - 1, std::byte{1});
    EXPECT_EQ(CopyInStruct(row, memory, FakeMemory::kBase, out).error().code, E2BIG);
  }
}

TEST(DecodeTest, AShorterSizeStructureIsExtendedWithZeroes) {
  const CallRow& row = CallsNamed("IOMMU_HWPT_ALLOC")[0];
  Buffer out;
  ASSERT_EQ(CopyErrno(row, 24, 24, 0, out), 0);
  EXPECT_EQ(out[23], std::byte{0xa5});
  EXPECT_EQ(out[24], std::byte{0});
}

TEST(DecodeTest, DecodingAloneReadsNoMemory) {
  FakeMemory memory(0);
  const auto call = Decode(kContainer, ContainerType::kSpaprV2, abi::kIommuMapDma, 0, memory);
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->row->call, Call::kIommuMapDma);
  EXPECT_EQ(memory.Reads(), 0);
  EXPECT_EQ(call->CopyIn<abi::DmaMap>().error().code, EFAULT);
}

TEST(DecodeTest, AHandlerCopiesInReadsBehindAndCopiesOut) {
  FakeMemory memory(sizeof(abi::DmaUnmap) + sizeof(abi::Bitmap));
  memory.PutWord(0, 48);
  memory.PutWord(4, abi::kDmaUnmapFlagGetDirtyBitmap);
  memory.PutWord(8, 0x1000);
  memory.PutWord(24, 4096);
  const auto call =
      Decode(kContainer, ContainerType::kType1v2, abi::kIommuUnmapDma, FakeMemory::kBase, memory);
  ASSERT_TRUE(call.ok());
  auto unmap = call->CopyIn<abi::DmaUnmap>();
  ASSERT_TRUE(unmap.ok());
  EXPECT_EQ(unmap->argsz, 48U);
  EXPECT_EQ(unmap->iova, 0x1000U);
  const auto bitmap = call->CopyInBehind<abi::Bitmap>(sizeof(abi::DmaUnmap));
  ASSERT_TRUE(bitmap.ok());
  EXPECT_EQ(bitmap->pgsize, 4096U);
  EXPECT_EQ(call->CopyInBehind<abi::Bitmap>(sizeof(abi::DmaUnmap) + 1).error().code, EFAULT);
  unmap->iova = ~uint64_t{0};
  unmap->size = ~uint64_t{0};
  ASSERT_TRUE(call->CopyOut(*unmap, 12).ok());
  EXPECT_EQ(memory.At(11), std::byte{0xff});
  EXPECT_EQ(memory.At(12), std::byte{0});
}

TEST(DecodeTest, IntegersAreCopiedInWhole) {
  FakeMemory memory(4);
  memory.PutWord(0, ~uint32_t{0});
  const auto at = [&](uint64_t address) {
    return Decode(kGroup, ContainerType::kNone, abi::kGroupSetContainer, address, memory)
        ->CopyIn<int32_t>();
  };
  EXPECT_EQ(*at(FakeMemory::kBase), -1);
  EXPECT_EQ(at(FakeMemory::kBase + 1).error().code, EFAULT);
}

TEST(DecodeTest, TheUpperHalfOfARequestIsIgnored) {
  FakeMemory memory(0);
  const uint64_t sign_extended = 0xffffffff00000000U | abi::kGetApiVersion;
  EXPECT_TRUE(Decode(kContainer, ContainerType::kNone, sign_extended, 0, memory).ok());
}

TEST(DecodeTest, StringsEndAtTheirNulOrAreRefused) {
  FakeMemory memory(1024);
  memory.PutText("0000:00:05.0");
  std::array<char, 4096> name;
  const auto whole = CopyInString(memory, FakeMemory::kBase, name);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(*whole, "0000:00:05.0");
  // Exactly with its NUL, and one byte too short for it.
  EXPECT_TRUE(CopyInString(memory, FakeMemory::kBase, std::span(name).first(13)).ok());
  EXPECT_EQ(CopyInString(memory, FakeMemory::kBase, std::span(name).first(12)).error().code,
            EINVAL);
  memory.Fill(0, std::byte{'x'});  // no NUL before the memory ends
  EXPECT_EQ(CopyInString(memory, FakeMemory::kBase, name).error().code, EFAULT);
  EXPECT_EQ(CopyInString(memory, FakeMemory::kBase, std::span(name).first(1024)).error().code,
            EINVAL);
  EXPECT_EQ(CopyInString(memory, 0, name).error().code, EFAULT);
}

// What recorded kernels answered to calls with a null pointer: conformance scripts 06-numbers.
// 0 stands for answers that decoding does not give: it finds the call, the handler answers.
struct Recorded {
  DescriptorKind kind;
  ContainerType type;
  int offset;
  int error;
};

int AnswerToNull(const Recorded& line) {
  FakeMemory memory(0);
  const auto call = Decode(line.kind, line.type, abi::VfioRequest(line.offset), 0, memory);
  if (!call.ok()) return call.error().code;
  if (call->row->form == ArgumentForm::kString) {
    std::array<char, 64> name;
    return CopyInString(memory, 0, name).error().code;
  }
  Buffer out;
  return CopyInStruct(*call->row, memory, 0, out).error().code;
}

void ExpectAnswers(std::span<const Recorded> lines) {
  for (const Recorded& line : lines) {
    EXPECT_EQ(AnswerToNull(line), line.error) << Name(line.kind) << " " << line.offset;
  }
}

constexpr auto kNone = ContainerType::kNone;

TEST(DecodeTest, AnswersBeforeAnIommuIsSetAreTheRecordedOnes) {
  constexpr Recorded kLines[] = {
      {kContainer, kNone, 12, EINVAL}, {kContainer, kNone, 13, EINVAL},
      {kContainer, kNone, 17, EINVAL}, {kContainer, kNone, 18, EINVAL},
      {kContainer, kNone, 19, EINVAL}, {kContainer, kNone, 20, EINVAL},
      {kContainer, kNone, 21, EINVAL}, {kContainer, kNone, 22, EINVAL},
      {kGroup, kNone, 12, ENOTTY},     {kGroup, kNone, 18, ENOTTY},
      {kGroup, kNone, 3, EFAULT},      {kGroup, kNone, 4, EFAULT},
      {kGroup, kNone, 5, 0},           {kGroup, kNone, 6, EFAULT},
  };
  ExpectAnswers(kLines);
}

TEST(DecodeTest, AnswersOfType1AreTheRecordedOnes) {
  constexpr auto kType = ContainerType::kType1v2;
  constexpr Recorded kLines[] = {
      {kContainer, kType, 7, ENOTTY},  {kContainer, kType, 8, ENOTTY},
      {kContainer, kType, 9, ENOTTY},  {kContainer, kType, 10, ENOTTY},
      {kContainer, kType, 11, ENOTTY}, {kContainer, kType, 12, EFAULT},
      {kContainer, kType, 13, EFAULT}, {kContainer, kType, 14, EFAULT},
      {kContainer, kType, 15, ENOTTY}, {kContainer, kType, 16, ENOTTY},
      {kContainer, kType, 17, EFAULT}, {kContainer, kType, 18, ENOTTY},
      {kContainer, kType, 19, ENOTTY}, {kContainer, kType, 20, ENOTTY},
      {kContainer, kType, 21, ENOTTY}, {kContainer, kType, 22, ENOTTY},
      {kContainer, kType, 23, ENOTTY}, {kContainer, kType, 0, 0},
      {kContainer, kType, 4, ENOTTY},  {kContainer, kType, 3, ENOTTY},
      {kDevice, kType, 0, ENOTTY},     {kDevice, kType, 7, EFAULT},
      {kDevice, kType, 12, EFAULT},    {kDevice, kType, 13, EFAULT},
      {kDevice, kType, 17, EFAULT},    {kDevice, kType, 18, EFAULT},
      {kDevice, kType, 19, ENOTTY},    {kDevice, kType, 20, ENOTTY},
      {kDevice, kType, 21, ENOTTY},
  };
  ExpectAnswers(kLines);
}

TEST(DecodeTest, AnswersOfSpaprAreTheRecordedOnes) {
  constexpr auto kType = ContainerType::kSpaprV2;
  constexpr Recorded kLines[] = {
      {kContainer, kType, 7, ENOTTY},  {kContainer, kType, 8, ENOTTY},
      {kContainer, kType, 9, ENOTTY},  {kContainer, kType, 10, ENOTTY},
      {kContainer, kType, 11, ENOTTY}, {kContainer, kType, 12, EFAULT},
      {kContainer, kType, 15, ENOTTY}, {kContainer, kType, 16, ENOTTY},
      {kContainer, kType, 17, EFAULT}, {kContainer, kType, 18, EFAULT},
      {kContainer, kType, 19, EFAULT}, {kContainer, kType, 20, EFAULT},
      {kContainer, kType, 21, EFAULT}, {kContainer, kType, 22, ENOTTY},
      {kContainer, kType, 23, ENOTTY}, {kContainer, kType, 0, 0},
      {kContainer, kType, 4, ENOTTY},  {kContainer, kType, 3, ENOTTY},
      {kDevice, kType, 0, ENOTTY},     {kDevice, kType, 7, EFAULT},
      {kDevice, kType, 12, EFAULT},    {kDevice, kType, 13, EFAULT},
      {kDevice, kType, 17, EFAULT},    {kDevice, kType, 18, ENOTTY},
      {kDevice, kType, 19, ENOTTY},    {kDevice, kType, 20, ENOTTY},
      {kDevice, kType, 21, ENOTTY},
  };
  ExpectAnswers(kLines);
}

// 13 and 14 answered EPERM, for no memory was registered: the handler says so before it copies.
TEST(DecodeTest, MappingOnSpaprIsFoundWithoutTouchingTheCallersMemory) {
  FakeMemory memory(0);
  for (const uint32_t request : {abi::kIommuMapDma, abi::kIommuUnmapDma}) {
    EXPECT_TRUE(Decode(kContainer, ContainerType::kSpaprV2, request, 0, memory).ok());
  }
  EXPECT_EQ(memory.Reads(), 0);
}

}  // namespace
}  // namespace compat::decode
