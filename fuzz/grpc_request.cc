// Any request of any method of the daemon's services, against a made-up program: the status is one
// that callers are promised, an error has its reason and, where a field is wrong, names a field
// that the request has; a dry run changes nothing; and the daemon answers the next call.
//
// An input: calls, each a method and the length and the bytes of its request, in Protobuf's own
// format.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fuzz/input.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"

namespace fuzz {
namespace {

namespace daemon = tools::daemon;
namespace protobuf = google::protobuf;
using daemon::testing::FakeModel;
using daemon::testing::FakeProgram;

constexpr uint64_t kSession = 0xf1;
constexpr int kMaxCalls = 4;
constexpr std::chrono::seconds kTooLong(20);
// A watch goes on until it is given up.
constexpr std::chrono::milliseconds kWatchTime(20);
constexpr int kMaxResponses = 1000;

// One for all inputs; never taken down, for gRPC's threads are everywhere when a process ends.
daemon::TestDaemon& Daemon() {
  static auto* const kDaemon = [] {
    spdlog::set_level(spdlog::level::off);
    auto* const fresh = new daemon::TestDaemon;
    std::atexit([] { std::filesystem::remove_all(Daemon().sessions().folder()); });
    return fresh;
  }();
  return *kDaemon;
}

std::vector<const protobuf::MethodDescriptor*> FindMethods() {
  std::vector<const protobuf::MethodDescriptor*> methods;
  for (const char* name : {"Sessions", "AddressSpaces", "Actions", "Dirty", "Faults", "Host"}) {
    const auto* const service = protobuf::DescriptorPool::generated_pool()->FindServiceByName(
        std::string("vfio.compat.v1.") + name);
    FUZZ_REQUIRE(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

std::unique_ptr<protobuf::Message> NewMessage(const protobuf::Descriptor* type) {
  return std::unique_ptr<protobuf::Message>(
      protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  FUZZ_REQUIRE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(slice.begin(), slice.end());
  return bytes;
}

// A call that is made through gRPC, as by a client that knows nothing of the methods.
class Call {
 public:
  grpc::Status Make(const protobuf::MethodDescriptor& method, const std::string& request) {
    const bool is_watch = method.name() == "Watch";
    context_.set_deadline(std::chrono::system_clock::now() +
                          (is_watch ? kWatchTime : std::chrono::milliseconds(kTooLong)));
    grpc::GenericStub stub(Daemon().channel());
    const std::string path = "/" + method.service()->full_name() + "/" + method.name();
    const auto stream = stub.PrepareCall(&context_, path, &queue_);
    stream->StartCall(nullptr);
    Await();
    stream->WriteLast(BufferOf(request), grpc::WriteOptions(), nullptr);
    Await();
    grpc::ByteBuffer response;
    for (int count = 0; count < kMaxResponses; ++count) {
      stream->Read(&response, nullptr);
      if (!Await()) break;
      const auto message = NewMessage(method.output_type());
      FUZZ_REQUIRE(message->ParseFromString(BytesOf(response)));
      if (is_watch && count > 2) context_.TryCancel();
    }
    grpc::Status status;
    stream->Finish(&status, nullptr);
    Await();
    if (is_watch && (status.error_code() == grpc::DEADLINE_EXCEEDED ||
                     status.error_code() == grpc::CANCELLED)) {
      return grpc::Status::OK;
    }
    return status;
  }

 private:
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    FUZZ_REQUIRE(queue_.Next(&tag, &ok));
    return ok;
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
};

// Whether a path such as "limits.allowed_iovas[0].last" is one of a message's fields.
bool HasField(const protobuf::Descriptor* type, std::string path) {
  while (type != nullptr && !path.empty()) {
    const size_t end = std::min(path.find('.'), path.size());
    const std::string part = path.substr(0, end);
    const auto* const field = type->FindFieldByName(part.substr(0, part.find('[')));
    const bool is_element = part.find('[') != std::string::npos;
    if (field == nullptr) {
      // One of several is named as they are called together.
      return end == path.size() && type->FindOneofByName(part) != nullptr;
    }
    if (is_element && !field->is_repeated()) return false;
    type = field->message_type();
    path.erase(0, std::min(end + 1, path.size()));
  }
  return path.empty();
}

void CheckErrorCode(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::INVALID_ARGUMENT:
    case grpc::NOT_FOUND:
    case grpc::FAILED_PRECONDITION:
    case grpc::RESOURCE_EXHAUSTED:
    case grpc::ABORTED:
    case grpc::OUT_OF_RANGE:
    case grpc::UNAVAILABLE:
      return;
    case grpc::UNIMPLEMENTED:
      // The program is older than the daemon.
      FUZZ_REQUIRE(daemon::ReasonOf(status) == "SESSION_REFUSED");
      return;
    default:
      // An administrator is permitted everything, and nothing may go wrong inside.
      FUZZ_REQUIRE(!"an error that callers are not promised");
  }
}

void CheckError(const grpc::Status& status, const protobuf::MethodDescriptor& method) {
  CheckErrorCode(status);
  const std::string message = status.error_message();
  FUZZ_REQUIRE(!message.empty());
  FUZZ_REQUIRE(
      std::all_of(message.begin(), message.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  google::rpc::Status details;
  FUZZ_REQUIRE(details.ParseFromString(status.error_details()));
  bool has_reason = false;
  for (const protobuf::Any& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (!any.UnpackTo(&info)) continue;
    has_reason = !info.reason().empty() && info.domain() == "vfio.compat.v1";
  }
  FUZZ_REQUIRE(has_reason);
  const std::string field = daemon::FieldOf(status);
  // The session itself may refuse a value as well, which field it was it does not say.
  if (daemon::ReasonOf(status) == "FIELD_INVALID") FUZZ_REQUIRE(!field.empty());
  FUZZ_REQUIRE(HasField(method.input_type(), field));
}

bool IsDryRun(const protobuf::Message& request) {
  const auto* const field = request.GetDescriptor()->FindFieldByName("dry_run");
  return field != nullptr && request.GetReflection()->GetBool(request, field);
}

// Whether a value that no method takes is in a request: a page of less than nothing or too much, an
// id that would break a log's lines.
bool IsWrong(const protobuf::Message& request) {
  constexpr int32_t kMostElements = 10000;
  constexpr size_t kLongestId = 64;
  const protobuf::Reflection* const reflection = request.GetReflection();
  const auto* const size = request.GetDescriptor()->FindFieldByName("page_size");
  // Of a list: others are sizes of pages of memory.
  if (size != nullptr && size->cpp_type() == protobuf::FieldDescriptor::CPPTYPE_INT32) {
    const int32_t elements = reflection->GetInt32(request, size);
    if (elements < 0 || elements > kMostElements) return true;
  }
  const auto* const id_field = request.GetDescriptor()->FindFieldByName("request_id");
  if (id_field == nullptr) return false;
  const std::string id = reflection->GetString(request, id_field);
  return id.size() > kLongestId ||
         std::any_of(id.begin(), id.end(), [](char c) { return c < ' ' || c > '~'; });
}

// What actions change of a program.
std::string StateOf(const FakeProgram& program) {
  const FakeModel model = program.model();
  std::string state(reinterpret_cast<const char*>(&model.limits), sizeof(model.limits));
  const auto append = [&state](const auto& elements) {
    state.append(reinterpret_cast<const char*>(elements.data()),
                 elements.size() * sizeof(elements.front()));
  };
  append(model.containers);
  append(model.groups);
  append(model.mappings);
  return state;
}

void MakeCall(Input& input, const FakeProgram& program) {
  static const auto* const kMethods =
      new std::vector<const protobuf::MethodDescriptor*>(FindMethods());
  const protobuf::MethodDescriptor& method =
      *(*kMethods)[input.TakeBelow(static_cast<uint32_t>(kMethods->size()))];
  const std::span<const uint8_t> bytes = input.TakeBytes(input.Take<uint16_t>());
  const auto request = NewMessage(method.input_type());
  // What is no message does not get as far as the handlers.
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const std::string before = StateOf(program);
  Call call;
  const grpc::Status status = call.Make(method, request->SerializeAsString());
  if (!status.ok()) CheckError(status, method);
  FUZZ_REQUIRE(!status.ok() || !IsWrong(*request));
  // A program that does not answer in time may still do what it was asked.
  const bool is_done = status.error_code() != grpc::UNAVAILABLE;
  if (is_done && (!status.ok() || IsDryRun(*request))) FUZZ_REQUIRE(StateOf(program) == before);
}

}  // namespace
}  // namespace fuzz

// Leaks are looked for once, at the end: for a moment after a call nothing but a register of a
// thread of gRPC's may hold what was returned.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static char option[] = "-detect_leaks=0";
  static std::vector<char*> arguments(*argv, *argv + *argc);
  arguments.push_back(option);
  *argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  *argv = arguments.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using fuzz::kSession;
  fuzz::Input input(data, size);
  auto& sessions = fuzz::Daemon().sessions();
  {
    fuzz::FakeProgram program(kSession, fuzz::FakeModel::WithMappings(8));
    program.Connect(sessions.path());
    sessions.Await(kSession);
    for (int call = 0; call < fuzz::kMaxCalls && !input.empty(); ++call) {
      fuzz::MakeCall(input, program);
    }
    // Whatever was asked, it has not been cut off.
    FUZZ_REQUIRE(sessions.registry().Find(kSession) != nullptr);
  }
  const auto since = std::chrono::steady_clock::now();
  // What a call that is still on its way holds would look leaked.
  while (sessions.registry().size() != 0 || fuzz::Daemon().guard().calls() != 0) {
    FUZZ_REQUIRE(std::chrono::steady_clock::now() - since < fuzz::kTooLong);
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return 0;
}
