#include "tools/daemon/remote/call_translation.h"

#include <gtest/gtest.h>

#include <string>

namespace tools::daemon::remote {
namespace {

using vfio::compat::v1::CallRequest;

TEST(TranslateTest, AnIoctlHasANumberAnAddressOrBytes) {
  CallRequest request;
  request.mutable_ioctl()->set_fd(7);
  request.mutable_ioctl()->set_request(0x3b64);
  auto call = Translate(request);
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->call.operation, Operation::kIoctl);
  EXPECT_EQ(call->call.fd, 7);
  EXPECT_EQ(call->call.request, 0x3b64U);
  EXPECT_EQ(call->call.argument, 0U);
  request.mutable_ioctl()->set_value(3);
  EXPECT_EQ(Translate(request)->call.argument, 3U);
  request.mutable_ioctl()->set_address(0x7000);
  EXPECT_EQ(Translate(request)->call.argument, 0x7000U);
  request.mutable_ioctl()->set_bytes("");
  call = Translate(request);
  EXPECT_EQ(call->call.operation, Operation::kIoctlBytes) << "no bytes are bytes too";
  EXPECT_EQ(call->bytes, "");
}

TEST(TranslateTest, EveryCallOfTheApiIsKnown) {
  const auto* const calls = CallRequest::descriptor()->FindOneofByName("call");
  for (int i = 0; i < calls->field_count(); ++i) {
    CallRequest request;
    request.GetReflection()->MutableMessage(&request, calls->field(i));
    EXPECT_TRUE(Translate(request).ok()) << calls->field(i)->name();
  }
}

TEST(TranslateTest, NoCallIsRefused) {
  EXPECT_EQ(Translate({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TranslateTest, WhatIsTooLargeIsRefusedByTheNameOfItsField) {
  const std::string most(kMaxBytes, 'x');
  const std::string more(kMaxBytes + 1, 'x');
  CallRequest request;
  request.mutable_ioctl()->set_bytes(most);
  EXPECT_TRUE(Translate(request).ok());
  request.mutable_ioctl()->set_bytes(more);
  EXPECT_EQ(Translate(request).status().message(), "ioctl.bytes: 65537 bytes; 65536 are the most");
  request.mutable_open()->set_path(more);
  EXPECT_EQ(Translate(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_write_memory()->set_bytes(more);
  EXPECT_EQ(Translate(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_pwrite()->set_bytes(more);
  EXPECT_EQ(Translate(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_pread()->set_size(kMaxBytes + 1);
  EXPECT_EQ(Translate(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_read_memory()->set_size(UINT32_MAX);
  EXPECT_EQ(Translate(request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tools::daemon::remote
