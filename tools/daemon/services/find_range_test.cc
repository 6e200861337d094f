// AddressSpaces.FindRange, through gRPC.
#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
using grpc::StatusCode;
using testing::FakeModel;
using testing::FakeProgram;

constexpr uint64_t kMapped = uint64_t{8} * 4096;
constexpr uint64_t kLast = (uint64_t{1} << 39) - 1;

// A program whose only aperture ends at kLast and is mapped up to kMapped.
class FindRangeTest : public ::testing::Test {
 protected:
  FindRangeTest() {
    program_.Connect(daemon_.sessions().path());
    daemon_.sessions().Await(0xabcd);
    request_.set_session("000000000000abcd");
    request_.set_container(1);
  }

  grpc::Status Find(api::FindRangeResponse& response) {
    grpc::ClientContext context;
    return spaces_.FindRange(&context, request_, &response);
  }
  // Fails as INVALID_ARGUMENT does. Returns the field and why.
  std::string Refused() {
    api::FindRangeResponse response;
    const grpc::Status status = Find(response);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message().rfind(FieldOf(status) + ": ", 0), 0u);
    return status.error_message();
  }

  TestDaemon daemon_;
  FakeProgram program_{0xabcd, FakeModel::WithMappings(8)};
  api::AddressSpaces::Stub spaces_{daemon_.channel()};
  api::FindRangeRequest request_;
};

TEST_F(FindRangeTest, SaysExactlyWhatThereIs) {
  request_.set_size(0x1234);
  api::FindRangeResponse response;
  ASSERT_TRUE(Find(response).ok());
  EXPECT_EQ(response.range().first(), kMapped);
  EXPECT_EQ(response.range().last(), kMapped + 0x1233);
  EXPECT_EQ(response.alignment(), 4096u);
  ASSERT_EQ(response.free().ranges_size(), 1);
  EXPECT_EQ(response.free().ranges(0).first(), kMapped);
  EXPECT_EQ(response.free().ranges(0).last(), kLast);
  EXPECT_EQ(response.free().largest().last(), kLast);
  EXPECT_FALSE(response.free().has_more());
}

TEST_F(FindRangeTest, KeepsBoundsAndAlignment) {
  request_.set_size(4096);
  request_.set_alignment(1 << 21);
  request_.set_lowest((uint64_t{4} << 30) + 1);
  api::FindRangeResponse response;
  ASSERT_TRUE(Find(response).ok());
  EXPECT_EQ(response.range().first(), (uint64_t{4} << 30) + (1 << 21));
  EXPECT_EQ(response.alignment(), uint64_t{1} << 21);
  EXPECT_EQ(response.free().ranges(0).first(), (uint64_t{4} << 30) + 1);
}

TEST_F(FindRangeTest, SaysWhatWouldDoWhereThereIsNone) {
  request_.set_size(uint64_t{1} << 30);
  request_.set_highest((uint64_t{1} << 30) - 1);
  api::FindRangeResponse response;
  const grpc::Status status = Find(response);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "NO_SUCH_RANGE");
  EXPECT_EQ(FieldOf(status), "size");
  EXPECT_EQ(status.error_message(),
            "size: nothing of 0x40000000 bytes with an alignment of 0x1000 is usable and free "
            "between 0 and 0x3fffffff; the largest that would do is 0x8000-0x3fffffff");
  const auto free = DetailOf<api::FreeRanges>(status);
  ASSERT_EQ(free.ranges_size(), 1);
  EXPECT_EQ(free.ranges(0).first(), kMapped);
  EXPECT_EQ(free.largest().first(), kMapped);
  EXPECT_EQ(free.largest().last(), (uint64_t{1} << 30) - 1);
}

TEST_F(FindRangeTest, SaysWhereThereIsNothingAtAll) {
  request_.set_size(1);
  request_.set_lowest(kLast + 1);
  api::FindRangeResponse response;
  const grpc::Status status = Find(response);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(status.error_message().find("; there is none of any size"), std::string::npos);
  EXPECT_FALSE(DetailOf<api::FreeRanges>(status).has_largest());
}

TEST_F(FindRangeTest, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(Refused(), "size: 0: expected a number of bytes from 1 on");
  request_.set_size(0x1001);
  request_.set_alignment(3);
  EXPECT_EQ(Refused(), "alignment: 0x3 is no power of two, nor 0 (the smallest page size)");
  request_.set_alignment(0);
  request_.set_lowest(0x2000);
  request_.set_highest(0x1fff);
  EXPECT_EQ(Refused(), "highest: 0x1fff is below lowest, 0x2000");
  request_.set_highest(0x2fff);
  EXPECT_EQ(Refused(), "size: 0x1001 does not fit between 0x2000 and 0x2fff");
  request_.set_container(0);
  request_.set_highest(0);
  EXPECT_EQ(Refused(), "container: 0 is no container: expected a number from 1 on");
}

TEST_F(FindRangeTest, ThereHasToBeAContainer) {
  request_.set_container(2);
  request_.set_size(1);
  api::FindRangeResponse response;
  EXPECT_EQ(Find(response).error_code(), StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace tools::daemon
