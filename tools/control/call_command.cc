// call: a legacy call on a container of the daemon's own.
#include <cctype>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "compat/abi/vfio_numbers.h"
#include "compat/decode/call.h"
#include "compat/settings/text.h"
#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/print.h"
#include "vfio/compat/v1/containers.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;
using compat::decode::CallRow;
using compat::decode::ContainerType;
using compat::settings::Quoted;

// The one device of a client that names none.
constexpr char kGroupPath[] = "/dev/vfio/0";
constexpr char kContainerPath[] = "/dev/vfio/vfio";
constexpr uint64_t kMostBytes = 65536;

Failure ReadNumber(const char* option, const std::string& text, uint64_t& number) {
  const auto parsed = compat::settings::ParseNumber(text);
  if (!parsed.ok()) return {cli::kUsage, std::string(option) + ": " + parsed.message()};
  number = *parsed;
  return {};
}

Failure ReadHex(const std::string& text, std::string& bytes) {
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
      return {cli::kUsage, "--bytes " + Quoted(text) + ": expected hexadecimal digits"};
    }
    digits += c;
  }
  if (digits.size() % 2 != 0) {
    return {cli::kUsage, "--bytes " + Quoted(text) + ": expected two digits for each byte"};
  }
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return {};
}

// The request's number, and the row that says what its argument is, if any is known.
Failure ReadRequest(const std::string& text, uint32_t& request, const CallRow*& row) {
  auto rows = compat::decode::CallsNamed(text);
  uint64_t number = 0;
  if (rows.empty()) {
    if (Failure failure = ReadNumber("CALL", text, number)) return failure;
    if (number > UINT32_MAX)
      return {cli::kUsage, "CALL " + Quoted(text) + ": a request has 32 bits"};
    rows = compat::decode::CallsNumbered(static_cast<uint32_t>(number));
  }
  row = rows.empty() ? nullptr : &rows.front();
  request = row != nullptr ? row->request : static_cast<uint32_t>(number);
  return {};
}

// The argument, as the options give it. A structure that nothing is said of has zeros and the size
// that the call has at least, in its first field.
Failure MakeArgument(const CommandOptions& options, const CallRow* row, v1::IoctlCall& call) {
  uint64_t value = 0;
  if (!options.value.empty()) {
    if (Failure failure = ReadNumber("--value", options.value, value)) return failure;
    call.set_value(value);
    return {};
  }
  std::string bytes;
  if (Failure failure = ReadHex(options.bytes, bytes)) return failure;
  const bool is_struct =
      row != nullptr && (row->form == compat::decode::ArgumentForm::kArgszStruct ||
                         row->form == compat::decode::ArgumentForm::kSizeStruct);
  if (bytes.empty() && options.size == 0 && !is_struct) return {};
  if (options.size > kMostBytes || bytes.size() > kMostBytes) {
    return {cli::kUsage, "--size, --bytes: a structure has at most 65,536 bytes"};
  }
  const bool is_made_up = bytes.empty();
  uint64_t size = options.size;
  if (size == 0 && is_struct && is_made_up) size = row->full_size;
  if (bytes.size() < size) bytes.resize(size);
  if (is_made_up && is_struct && size >= sizeof(uint32_t)) {
    const auto argsz = static_cast<uint32_t>(size);
    std::memcpy(bytes.data(), &argsz, sizeof(argsz));
  }
  *call.mutable_bytes() = std::move(bytes);
  return {};
}

// A stream of calls to one client.
class Calls {
 public:
  Calls(const Client& client, std::string id) : id_(std::move(id)) {
    client.SetDeadline(context_);
    stub_ = v1::Containers::NewStub(client.channel());
    stream_ = stub_->Call(&context_);
  }

  Failure Make(v1::CallRequest request, v1::CallResponse& response) {
    request.set_client(id_);
    if (stream_->Write(request) && stream_->Read(&response)) return {};
    const grpc::Status status = stream_->Finish();
    if (status.ok()) return {kRefused, "call: the daemon ended the calls"};
    return Explain("call", status);
  }
  // A call that has to work before the one that is asked for can be made.
  Failure Prepare(const char* what, const v1::CallRequest& request, int64_t& result) {
    v1::CallResponse response;
    if (Failure failure = Make(request, response)) return failure;
    result = response.result();
    if (response.error() == 0) return {};
    return {kRefused, std::string("call: ") + what + ": " +
                          std::strerror(static_cast<int>(response.error()))};
  }
  void End() {
    stream_->WritesDone();
    static_cast<void>(stream_->Finish());
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::Containers::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::CallRequest, v1::CallResponse>> stream_;
  std::string id_;
};

Failure Open(Calls& calls, const char* path, int& fd) {
  v1::CallRequest request;
  request.mutable_open()->set_path(path);
  int64_t result = -1;
  Failure failure = calls.Prepare(path, request, result);
  fd = static_cast<int>(result);
  return failure;
}

// A container, and if a type is asked for a group in it and that type.
Failure OpenContainer(Calls& calls, const std::string& type, int& fd) {
  if (Failure failure = Open(calls, kContainerPath, fd)) return failure;
  if (type.empty()) return {};
  const auto wanted = compat::decode::TypeNamed(type);
  if (!wanted || *wanted == ContainerType::kNone) {
    return {cli::kUsage,
            "--type " + Quoted(type) + ": expected type1, type1v2, spapr-tce or spapr-tce-v2"};
  }
  int group = -1;
  int64_t result = 0;
  if (Failure failure = Open(calls, kGroupPath, group)) return failure;
  v1::CallRequest join;
  join.mutable_ioctl()->set_fd(group);
  join.mutable_ioctl()->set_request(compat::abi::kGroupSetContainer);
  join.mutable_ioctl()->set_bytes(&fd, sizeof(int));
  if (Failure failure = calls.Prepare("SET_CONTAINER", join, result)) return failure;
  v1::CallRequest set;
  set.mutable_ioctl()->set_fd(fd);
  set.mutable_ioctl()->set_request(compat::abi::kSetIommu);
  set.mutable_ioctl()->set_value(static_cast<uint64_t>(*wanted));
  return calls.Prepare("SET_IOMMU", set, result);
}

Failure OpenClient(const Client& client, const CommandOptions& options, std::string& id) {
  if (!options.client.empty()) {
    id = options.client;
    return {};
  }
  v1::Client opened;
  const grpc::Status status =
      client.Call<v1::Containers>(&v1::Containers::Stub::OpenClient, {}, &opened);
  id = opened.id();
  return Explain("call", status);
}

void Print(const v1::CallResponse& response) {
  if (response.error() != 0) {
    std::printf("%lld, errno %u: %s\n", static_cast<long long>(response.result()), response.error(),
                std::strerror(static_cast<int>(response.error())));
  } else {
    std::printf("%lld\n", static_cast<long long>(response.result()));
  }
  const std::string& bytes = response.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) std::printf("%s%06zx", i == 0 ? "" : "\n", i);
    std::printf(" %02x", static_cast<unsigned char>(bytes[i]));
  }
  if (!bytes.empty()) std::printf("\n");
}

}  // namespace

Failure Call(const Client& client, const CommandOptions& options) {
  v1::CallRequest request;
  uint32_t number = 0;
  const CallRow* row = nullptr;
  if (Failure failure = ReadRequest(options.call, number, row)) return failure;
  request.mutable_ioctl()->set_request(number);
  if (Failure failure = MakeArgument(options, row, *request.mutable_ioctl())) return failure;
  std::string id;
  if (Failure failure = OpenClient(client, options, id)) return failure;
  Calls calls(client, id);
  int fd = options.fd;
  if (fd < 0) {
    if (Failure failure = OpenContainer(calls, options.type, fd)) return failure;
  }
  request.mutable_ioctl()->set_fd(fd);
  v1::CallResponse response;
  if (Failure failure = calls.Make(request, response)) return failure;
  calls.End();
  if (client.options().json) {
    PrintJson(response);
  } else {
    Print(response);
  }
  if (options.keep) {
    std::fprintf(stderr, "go on with: --client %s --fd %d\n", id.c_str(), fd);
    return {};
  }
  v1::CloseClientRequest close;
  close.set_client(id);
  v1::CloseClientResponse closed;
  return Explain("call",
                 client.Call<v1::Containers>(&v1::Containers::Stub::CloseClient, close, &closed));
}

}  // namespace tools::control
