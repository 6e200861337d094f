// Every call with every argsz, at every kind of address.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "compat/decode/call.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"
#include "tests/sweep/guarded_page.h"
#include "tests/sweep/targets.h"

namespace {

using compat::decode::ArgumentForm;
using compat::decode::CallRow;
using tests::GuardedPage;
using tests::Outcome;
using tests::Target;

// Beyond the full structure, as far as the sweep goes.
constexpr uint32_t kBeyond = 16;
constexpr size_t kCanaries = 64;
constexpr std::byte kCanary{0xa5};

// What the structure behind argsz is filled with.
constexpr std::byte kFillings[] = {std::byte{0}, std::byte{1}, std::byte{2}, std::byte{0xff}};

using Buffer = std::array<std::byte, kCanaries + 512 + kCanaries>;

class SweepTest : public testing::Test {
 protected:
  // Calls `body` for every target, every call that the target knows and that takes an address, and
  // every size.
  void ForEach(const std::function<void(const Target&, const CallRow&, uint32_t)>& body) const {
    for (const Target& target : targets_.all()) {
      ASSERT_GE(target.fd, 0) << target.name;
      for (const CallRow* row : CallsOf(target)) {
        if (row->form == ArgumentForm::kNone || row->form == ArgumentForm::kValue) continue;
        for (uint32_t size = 0; size <= row->full_size + kBeyond; ++size) {
          SCOPED_TRACE(std::string(row->name) + " on a " + target.name + ", argsz " +
                       std::to_string(size));
          body(target, *row, size);
          if (HasFailure()) return;
        }
      }
    }
  }

  const tests::Targets& targets() const { return targets_; }

 private:
  tests::Targets targets_;
};

// Writes a structure of `size` bytes to `at`: argsz as far as it fits, then `filling`.
void Fill(std::byte* at, uint32_t size, std::byte filling) {
  std::fill(at, at + size, filling);
  std::memcpy(at, &size, std::min<size_t>(size, sizeof(size)));
}

// Makes one call with its structure at `offset` of `buffer`, and checks that it changed nothing but
// what it may: [0, argsz) of the structure if it succeeded or says ENOSPC (hot reset information
// tells how much it would need), and nothing otherwise.
Outcome CallBetweenCanaries(const Target& target, const CallRow& row, uint32_t size,
                            std::byte filling, Buffer& buffer, size_t offset) {
  buffer.fill(kCanary);
  std::byte* const structure = buffer.data() + offset;
  std::fill(structure, structure + row.full_size, filling);
  std::memcpy(structure, &size, sizeof(size));
  const Buffer before = buffer;
  const Outcome outcome = MakeCall(target, row.request, structure);
  const bool may_write = outcome.error == 0 || outcome.error == ENOSPC;
  const auto first_allowed = buffer.begin() + static_cast<ptrdiff_t>(offset);
  const auto end_allowed = first_allowed + (may_write ? size : 0);
  const auto old_end = before.begin() + (end_allowed - buffer.begin());
  EXPECT_TRUE(std::equal(buffer.begin(), first_allowed, before.begin())) << outcome;
  EXPECT_TRUE(std::equal(end_allowed, buffer.end(), old_end)) << outcome;
  return outcome;
}

TEST_F(SweepTest, NothingIsTouchedBeyondArgsz) {
  Buffer on_stack;
  const auto on_heap = std::make_unique<Buffer>();
  ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
    for (const std::byte filling : kFillings) {
      const Outcome from_stack =
          CallBetweenCanaries(target, row, size, filling, on_stack, kCanaries);
      const Outcome from_heap =
          CallBetweenCanaries(target, row, size, filling, *on_heap, kCanaries);
      // Unmapping what is mapped is another thing the second time, but not another errno.
      EXPECT_EQ(from_stack, from_heap);
      if (row.form == ArgumentForm::kArgszStruct && size < row.minimal_size) {
        EXPECT_NE(from_stack.error, 0);
      }
    }
  });
}

TEST_F(SweepTest, MisalignedStructuresAreLikeAlignedOnes) {
  const auto buffer = std::make_unique<Buffer>();
  ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
    const Outcome aligned =
        CallBetweenCanaries(target, row, size, std::byte{0}, *buffer, kCanaries);
    for (const size_t shift : {1, 2, 3, 4, 5, 7}) {
      EXPECT_EQ(CallBetweenCanaries(target, row, size, std::byte{0}, *buffer, kCanaries + shift),
                aligned);
    }
  });
}

// What a call says that cannot read its argument, or never gets so far: the device has no such
// feature, or type 1 version 1 refuses DIRTY_PAGES before it looks at the argument.
bool IsRefusedUnread(const Outcome& outcome) {
  return outcome.error == EFAULT || outcome.error == ENOTTY || outcome.error == EACCES;
}

// The structure ends where the page ends: as long as argsz says, and shorter than it says.
void CallBeforeUnmappedPage(const Target& target, const CallRow& row, uint32_t size,
                            GuardedPage& page) {
  const auto buffer = std::make_unique<Buffer>();
  std::byte* const structure = page.end() - size;
  Fill(structure, size, std::byte{0});
  const Outcome outcome = MakeCall(target, row.request, structure);
  if (row.form != ArgumentForm::kArgszStruct) return;
  if (size < row.minimal_size) {
    EXPECT_TRUE(IsRefusedUnread(outcome)) << outcome;
    return;
  }
  EXPECT_EQ(outcome, CallBetweenCanaries(target, row, size, std::byte{0}, *buffer, kCanaries));
  for (const uint32_t claimed : {size + 1, size + 64, 4096u, UINT32_MAX}) {
    Fill(structure, size, std::byte{0});
    std::memcpy(structure, &claimed, sizeof(claimed));
    MakeCall(target, row.request, structure);
  }
}

TEST_F(SweepTest, StructuresRightBeforeAnUnmappedPageAreEnough) {
  GuardedPage page;
  ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
    CallBeforeUnmappedPage(target, row, size, page);
  });
}

// QEMU calls from coroutines: their stacks are not what the system calls the thread's stack.
struct Coroutine {
  ucontext_t own;
  ucontext_t caller;
  std::function<void()> body;
};
Coroutine* running = nullptr;

void Trampoline() { running->body(); }

void RunInCoroutine(std::function<void()> body) {
  static std::array<std::byte, 1 << 20> stack;
  Coroutine coroutine{};
  coroutine.body = std::move(body);
  running = &coroutine;
  getcontext(&coroutine.own);
  coroutine.own.uc_stack.ss_sp = stack.data();
  coroutine.own.uc_stack.ss_size = stack.size();
  coroutine.own.uc_link = &coroutine.caller;
  makecontext(&coroutine.own, Trampoline, 0);
  swapcontext(&coroutine.caller, &coroutine.own);
}

TEST_F(SweepTest, CallsFromACoroutineDoNotTrustItsStack) {
  GuardedPage page;
  RunInCoroutine([&] {
    Buffer on_coroutine_stack;
    ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
      CallBetweenCanaries(target, row, size, std::byte{0}, on_coroutine_stack, kCanaries);
      CallBeforeUnmappedPage(target, row, size, page);
      EXPECT_NE(MakeCall(target, row.request, page.end()).error, 0);
    });
  });
}

TEST_F(SweepTest, AddressesThatAreNotMappedAreEfault) {
  const GuardedPage page;
  const uintptr_t kernel_address = 0xffff'8880'0000'0000;
  const void* const addresses[] = {nullptr, page.end(), page.begin() - 1,
                                   reinterpret_cast<void*>(kernel_address),
                                   reinterpret_cast<void*>(UINTPTR_MAX - 3)};
  ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
    if (size != 0) return;
    for (const void* address : addresses) {
      const Outcome outcome = MakeCall(target, row.request, address);
      EXPECT_TRUE(IsRefusedUnread(outcome)) << address << ": " << outcome;
    }
  });
}

TEST_F(SweepTest, ReadOnlyStructuresStayAsTheyAre) {
  GuardedPage page;
  const auto before = std::make_unique<std::array<std::byte, GuardedPage::kSize>>();
  ForEach([&](const Target& target, const CallRow& row, uint32_t size) {
    page.Protect(PROT_READ | PROT_WRITE);
    std::byte* const structure = page.end() - std::max<size_t>({size, row.full_size, sizeof(size)});
    Fill(structure, row.full_size, std::byte{0});
    std::memcpy(structure, &size, sizeof(size));
    page.Protect(PROT_READ);
    std::memcpy(before->data(), page.begin(), before->size());
    MakeCall(target, row.request, structure);
    EXPECT_EQ(std::memcmp(before->data(), page.begin(), before->size()), 0);
  });
}

TEST_F(SweepTest, NumbersWithoutAMeaningTouchNothing) {
  Buffer buffer;
  for (const Target& target : targets().all()) {
    for (uint32_t request = VFIO_GET_API_VERSION & ~0xffu; request <= (';' << 8 | 0xff);
         ++request) {
      if (Lookup(target.kind, target.type, request) != nullptr) continue;
      buffer.fill(kCanary);
      const Buffer before = buffer;
      EXPECT_EQ(MakeCall(target, request, buffer.data() + kCanaries).error,
                compat::decode::MissingCallErrno(target.kind, target.type))
          << std::hex << request << " on a " << target.name;
      EXPECT_EQ(buffer, before);
    }
  }
}

}  // namespace
