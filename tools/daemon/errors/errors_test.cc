#include "tools/daemon/errors/errors.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tools::daemon {
namespace {

// What a client reads out of the trailer.
google::rpc::Status Details(const absl::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(ToGrpc(status).error_details()));
  return details;
}

// The detail of this type; empty if there is none.
template <typename Detail>
Detail Find(const absl::Status& status) {
  Detail detail;
  const google::rpc::Status details = Details(status);
  for (const google::protobuf::Any& any : details.details()) {
    if (any.Is<Detail>()) any.UnpackTo(&detail);
  }
  return detail;
}

TEST(ErrorsTest, SuccessHasNoDetails) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpc(absl::OkStatus()).error_details(), "");
}

TEST(ErrorsTest, CodeAndMessageAreInTheStatusAndInItsDetails) {
  const absl::Status status = Error(absl::StatusCode::kNotFound, "SESSION_NOT_FOUND",
                                    "there is no session 1", {{"session", "1"}});
  EXPECT_EQ(ToGrpc(status).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ToGrpc(status).error_message(), "there is no session 1");
  EXPECT_EQ(Details(status).code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Details(status).message(), "there is no session 1");
  const auto info = Find<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "SESSION_NOT_FOUND");
  EXPECT_EQ(info.domain(), "vfio.compat.v1");
  EXPECT_EQ(info.metadata().at("session"), "1");
}

TEST(ErrorsTest, AWrongFieldIsNamed) {
  const absl::Status status = InvalidField("range.first", "5 is above range.last, 3");
  EXPECT_EQ(ToGrpc(status).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), "range.first: 5 is above range.last, 3");
  const auto request = Find<google::rpc::BadRequest>(status);
  ASSERT_EQ(request.field_violations_size(), 1);
  EXPECT_EQ(request.field_violations(0).field(), "range.first");
  EXPECT_EQ(request.field_violations(0).description(), "5 is above range.last, 3");
}

TEST(ErrorsTest, TheTimeOfTheNextTryIsTold) {
  const absl::Status status =
      WithRetry(Error(absl::StatusCode::kUnavailable, "SESSION_SILENT", "no answer"), 1.5);
  const auto retry = Find<google::rpc::RetryInfo>(status);
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(Find<google::rpc::ErrorInfo>(status).reason(), "SESSION_SILENT");
}

}  // namespace
}  // namespace tools::daemon
