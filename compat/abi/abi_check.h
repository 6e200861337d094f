// Comparisons of the project's definitions with the kernel's, for the tests of this folder.
#ifndef COMPAT_ABI_ABI_CHECK_H_
#define COMPAT_ABI_ABI_CHECK_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

// Field `ours` lies where, and is as large as, the kernel's field `theirs`.
#define EXPECT_FIELD(Ours, Theirs, ours, theirs)                                           \
  EXPECT_EQ(offsetof(Ours, ours), offsetof(struct Theirs, theirs)) << #Theirs "." #theirs; \
  EXPECT_EQ(sizeof(Ours::ours), sizeof(Theirs::theirs)) << #Theirs "." #theirs;

// Applies EXPECT_FIELD to each of up to 27 field names: C++20's rescanning trick.
#define ABI_PARENTHESES ()
#define ABI_SCAN(...) ABI_SCAN1(ABI_SCAN1(ABI_SCAN1(__VA_ARGS__)))
#define ABI_SCAN1(...) ABI_SCAN2(ABI_SCAN2(ABI_SCAN2(__VA_ARGS__)))
#define ABI_SCAN2(...) ABI_SCAN3(ABI_SCAN3(ABI_SCAN3(__VA_ARGS__)))
#define ABI_SCAN3(...) __VA_ARGS__
#define ABI_FIELD(Ours, Theirs, field, ...) \
  EXPECT_FIELD(Ours, Theirs, field, field)  \
  __VA_OPT__(ABI_NEXT_FIELD ABI_PARENTHESES(Ours, Theirs, __VA_ARGS__))
#define ABI_NEXT_FIELD() ABI_FIELD

// Structure `Ours` has the size and alignment of the kernel's `struct Theirs`, and each of the
// fields named behind them lies where, and is as large as, the kernel's of that name.
#define EXPECT_STRUCT(Ours, Theirs, ...)                       \
  EXPECT_EQ(sizeof(Ours), sizeof(struct Theirs)) << #Theirs;   \
  EXPECT_EQ(alignof(Ours), alignof(struct Theirs)) << #Theirs; \
  ABI_SCAN(ABI_FIELD(Ours, Theirs, __VA_ARGS__))

// The kernel's array of unknown length begins where structure `Ours` ends.
#define EXPECT_TRAILING(Ours, Theirs, array) \
  EXPECT_EQ(sizeof(Ours), offsetof(struct Theirs, array)) << #Theirs "." #array

// Two constants are equal in 32 bits, which all of them fit into.
#define EXPECT_NUMBER(ours, theirs) \
  EXPECT_EQ(static_cast<uint32_t>(ours), static_cast<uint32_t>(theirs)) << #theirs

#endif  // COMPAT_ABI_ABI_CHECK_H_
