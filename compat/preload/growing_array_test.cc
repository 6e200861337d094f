#include "compat/preload/growing_array.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace compat::preload {
namespace {

class GrowingArrayTest : public testing::Test {
 protected:
  ~GrowingArrayTest() override { array_.Free(); }

  GrowingArray<int> array_;
};

TEST_F(GrowingArrayTest, AValueIsAddedWhereThereIsRoom) {
  EXPECT_FALSE(array_.Add(1));
  ASSERT_TRUE(array_.Reserve(1));
  EXPECT_TRUE(array_.Add(1));
  ASSERT_EQ(array_.size(), 1u);
  EXPECT_EQ(array_[0], 1);
}

TEST_F(GrowingArrayTest, GrowingKeepsWhatIsThere) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(array_.Reserve(array_.size() + 1));
    ASSERT_TRUE(array_.Add(i));
  }
  int expected = 0;
  for (const int value : array_) EXPECT_EQ(value, expected++);
  EXPECT_EQ(expected, 100);
}

TEST_F(GrowingArrayTest, TheLastTakesThePlaceOfWhatIsRemoved) {
  ASSERT_TRUE(array_.Reserve(3));
  for (const int value : {1, 2, 3}) array_.Add(value);
  array_.Remove(0);
  ASSERT_EQ(array_.size(), 2u);
  EXPECT_EQ(array_[0], 3);
  EXPECT_EQ(array_[1], 2);
  array_.Remove(1);
  EXPECT_EQ(array_.size(), 1u);
}

TEST_F(GrowingArrayTest, RoomThatIsNotToBeHadChangesNothing) {
  ASSERT_TRUE(array_.Reserve(1));
  array_.Add(7);
  EXPECT_FALSE(array_.Reserve(SIZE_MAX / 16));
  ASSERT_EQ(array_.size(), 1u);
  EXPECT_EQ(array_[0], 7);
}

}  // namespace
}  // namespace compat::preload
