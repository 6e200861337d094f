#include "tests/authorisation/methods.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace tests::authorisation {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::UnknownFieldSet;

constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr std::chrono::milliseconds kPatience{250};

struct Outcome {
  bool is_answered = false;
  std::string answer;  // the first
  grpc::Status status;
};

// Waits for the one operation that is under way. Returns whether it went well.
bool Await(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

Outcome Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 const std::string& request, std::chrono::milliseconds patience) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  Outcome outcome;
  call->StartCall(nullptr);
  if (Await(queue)) {
    const grpc::Slice slice(request);
    const grpc::ByteBuffer message(&slice, 1);
    call->WriteLast(message, grpc::WriteOptions(), nullptr);
    Await(queue);
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    outcome.is_answered = Await(queue);
    grpc::Slice whole;
    if (outcome.is_answered && answer.DumpToSingleSlice(&whole).ok()) {
      outcome.answer.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
    }
    // A stream's status comes with its end: nothing more is wanted of one that has answered.
    if (outcome.is_answered && !outcome.answer.empty()) context.TryCancel();
  }
  call->Finish(&outcome.status, nullptr);
  Await(queue);
  return outcome;
}

// The fields of a length-delimited field, by its number.
std::vector<std::string> FieldsOf(const std::string& message, int number) {
  UnknownFieldSet fields;
  fields.ParseFromString(message);
  std::vector<std::string> found;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number) found.push_back(fields.field(i).length_delimited());
  }
  return found;
}

// Makes a request as harmless as it can be, and complete as far as it is about a session.
void Fill(const std::string& session, Message& message) {
  const google::protobuf::Reflection* const reflection = message.GetReflection();
  const Descriptor* const descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* const field = descriptor->field(i);
    if (field->name() == "session") reflection->SetString(&message, field, session);
    if (field->name() == "dry_run") reflection->SetBool(&message, field, true);
    if (field->name() == "last") reflection->SetUInt64(&message, field, 4095);
    if (field->name() == "size") reflection->SetUInt64(&message, field, 4096);
    if (field->name() == "container" && field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection->SetUInt32(&message, field, 1);
    }
    if (field->name() == "target" || field->name() == "range") {
      Fill(session, *reflection->MutableMessage(&message, field));
    }
  }
}

}  // namespace

std::vector<Method> MethodsOf(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& session) {
  // list_services, field 7 of ServerReflectionRequest; its answer is field 6.
  const std::string list("\x3a\x00", 2);
  const Outcome outcome = Exchange(channel, kReflection, list, std::chrono::seconds(10));
  EXPECT_TRUE(outcome.is_answered) << outcome.status.error_message();
  std::vector<Method> methods = {{kReflection, list},
                                 {"/grpc.channelz.v1.Channelz/GetServers", ""},
                                 {"/grpc.health.v1.Health/Check", ""}};
  const auto* const pool = DescriptorPool::generated_pool();
  google::protobuf::DynamicMessageFactory factory;
  for (const std::string& services : FieldsOf(outcome.answer, 6)) {
    for (const std::string& service : FieldsOf(services, 1)) {
      const std::string name = FieldsOf(service, 1).at(0);
      if (name.rfind("grpc.", 0) == 0) continue;
      const auto* const described = pool->FindServiceByName(name);
      EXPECT_NE(described, nullptr) << name;
      for (int i = 0; described != nullptr && i < described->method_count(); ++i) {
        const auto* const method = described->method(i);
        const std::unique_ptr<Message> request(factory.GetPrototype(method->input_type())->New());
        Fill(session, *request);
        methods.push_back({"/" + name + "/" + method->name(), request->SerializeAsString()});
      }
    }
  }
  std::sort(methods.begin(), methods.end(),
            [](const Method& a, const Method& b) { return a.name < b.name; });
  return methods;
}

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const Method& method) {
  const Outcome outcome = Exchange(channel, method.name, method.request, kPatience);
  const bool is_admitted = outcome.is_answered && !outcome.answer.empty();
  const bool is_silent = outcome.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return is_admitted || is_silent ? grpc::Status::OK : outcome.status;
}

}  // namespace tests::authorisation
