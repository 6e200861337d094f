#include "ioas/file_table.h"

#include <cerrno>
#include <memory>

#include "gtest/gtest.h"

namespace ioas {
namespace {

class FileTableTest : public testing::Test {
 protected:
  FileTableTest() : state_(new ProcessTableState()), files_(ProcessTable(state_.get())) {
    ProcessTable(state_.get()).Initialize();
  }

  std::unique_ptr<ProcessTableState> state_;
  FileTable files_;
};

TEST_F(FileTableTest, AFileHasAnEntryForEachProcess) {
  const Result<uint32_t> first = files_.Enter({1, 2}, 7);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(FileTable::IsFile(*first));
  EXPECT_FALSE(FileTable::IsFile(kMaxProcesses - 1));
  EXPECT_EQ(*files_.Enter({1, 2}, 7), *first);
  const Result<uint32_t> others = files_.Enter({1, 2}, 8);
  ASSERT_TRUE(others.ok());
  EXPECT_NE(*others, *first);
  EXPECT_EQ(files_.process(*others), 8u);
  EXPECT_EQ(ProcessBehind(ProcessTable(state_.get()), *others), 8u);
  EXPECT_EQ(ProcessBehind(ProcessTable(state_.get()), 5), 5u);
  EXPECT_EQ(files_.identity(*first), (FileIdentity{1, 2}));
  EXPECT_EQ(*files_.Find({1, 2}, 8), *others);
  EXPECT_EQ(files_.Find({1, 3}, 8).error().code, ENOENT);
}

TEST_F(FileTableTest, AnEntryIsUsedAgainOnceNothingHoldsIt) {
  const uint32_t owner = *files_.Enter({1, 2}, 7);
  const uint64_t generation = files_.generation(owner);
  files_.Hold(owner);
  EXPECT_FALSE(files_.Release(owner));
  EXPECT_TRUE(files_.Release(owner));
  EXPECT_FALSE(files_.is_held(owner));
  EXPECT_EQ(*files_.Enter({3, 4}, 7), owner);
  EXPECT_NE(files_.generation(owner), generation);
}

TEST_F(FileTableTest, TooManyFilesAreRefused) {
  for (uint64_t inode = 0; inode < kMaxFiles; ++inode)
    ASSERT_TRUE(files_.Enter({1, inode}, 7).ok());
  EXPECT_EQ(files_.Enter({1, kMaxFiles}, 7).error().code, ENOMEM);
  EXPECT_TRUE(files_.Enter({1, 0}, 7).ok());
}

}  // namespace
}  // namespace ioas
