#include "compat/native/object_table.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace compat::native {
namespace {

class ObjectTableTest : public testing::Test {
 protected:
  ObjectTableTest() : arena_(*ioas::Arena::CreatePrivate(8 << 20)) {}
  ~ObjectTableTest() override {
    table_.Clear();
    EXPECT_EQ(arena_.bytes_in_use(), 0u);
    arena_.Unmap();
  }

  ioas::Arena arena_;
  ObjectTableState state_ = {};
  ObjectTable table_{arena_, &state_};
};

TEST_F(ObjectTableTest, ANewObjectGetsTheLowestNumberThatIsFree) {
  EXPECT_EQ(*table_.Add(ObjectKind::kIoas, 10), 1u);
  EXPECT_EQ(*table_.Add(ObjectKind::kIoas, 11), 2u);
  EXPECT_EQ(*table_.Add(ObjectKind::kDevice, 12), 3u);
  table_.Remove(3);
  table_.Remove(1);
  EXPECT_EQ(*table_.Add(ObjectKind::kDevice, 13), 1u);
  EXPECT_EQ(*table_.Add(ObjectKind::kDevice, 14), 3u);
  EXPECT_EQ(*table_.Add(ObjectKind::kDevice, 15), 4u);
}

TEST_F(ObjectTableTest, ObjectsAreFoundByNumberAndKind) {
  const uint32_t id = *table_.Add(ObjectKind::kIoas, 10);
  EXPECT_EQ(table_.Find(id, ObjectKind::kIoas)->unit, 10u);
  EXPECT_EQ(table_.Find(id, ObjectKind::kAny)->users, 0u);
  EXPECT_EQ(table_.Find(id, ObjectKind::kDevice), nullptr);
  EXPECT_EQ(table_.Find(0, ObjectKind::kAny), nullptr);
  EXPECT_EQ(table_.Find(id + 1, ObjectKind::kAny), nullptr);
  EXPECT_EQ(table_.Find(~0u, ObjectKind::kAny), nullptr);
  table_.Remove(id);
  EXPECT_EQ(table_.Find(id, ObjectKind::kAny), nullptr);
  EXPECT_TRUE(table_.empty());
}

TEST_F(ObjectTableTest, HoldsAsManyAsItSaysAndNoMore) {
  for (uint32_t id = 1; id < kMaxObjects; ++id) {
    ASSERT_EQ(*table_.Add(ObjectKind::kIoas, id), id);
  }
  EXPECT_EQ(table_.Add(ObjectKind::kIoas, 1).error().code, ENOMEM);
  table_.Remove(776, /*bury=*/true);
  EXPECT_EQ(table_.Find(776, ObjectKind::kAny), nullptr);
  EXPECT_EQ(table_.Next(776), 777u);
  table_.Remove(777);
  EXPECT_EQ(table_.Next(777), 778u);
  EXPECT_EQ(*table_.Add(ObjectKind::kIoas, 1), 777u);
}

}  // namespace
}  // namespace compat::native
