// main() of a test whose cases are themselves the program under the library.
#include <gtest/gtest.h>

#include "tests/support/shimmed.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return tests::RunShimmed(argv, [] { return RUN_ALL_TESTS(); });
}
