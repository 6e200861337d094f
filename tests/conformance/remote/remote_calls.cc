#include "tests/conformance/remote/remote_calls.h"

#include <grpcpp/client_context.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "vfio/compat/v1/containers.grpc.pb.h"

namespace tests::conformance {
namespace {

namespace v1 = vfio::compat::v1;

constexpr uint64_t kMaxBytes = 65536;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "vconf: %s\n", why.c_str());
  std::exit(3);
}

// A client, and its one stream of calls.
class Remote {
 public:
  Remote(const std::shared_ptr<grpc::Channel>& channel, const std::string& container)
      : stub_(v1::Containers::NewStub(channel)) {
    v1::OpenClientRequest request;
    request.add_devices("nvme,addr=0000:00:03.0,group=7");
    request.set_disk_bytes(1 << 20);
    request.set_container(container);
    v1::Client client;
    grpc::ClientContext context;
    const grpc::Status status = stub_->OpenClient(&context, request, &client);
    if (!status.ok()) Fail("OpenClient: " + status.error_message());
    id_ = client.id();
    stream_ = stub_->Call(&context_);
  }

  // The call's result, with errno.
  int64_t Make(v1::CallRequest& request) {
    request.set_client(id_);
    if (!stream_->Write(request) || !stream_->Read(&response_)) {
      Fail("Call: " + stream_->Finish().error_message());
    }
    errno = static_cast<int>(response_.error());
    return response_.result();
  }
  const std::string& bytes() const { return response_.bytes(); }

 private:
  const std::unique_ptr<v1::Containers::Stub> stub_;
  std::string id_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::CallRequest, v1::CallResponse>> stream_;
  v1::CallResponse response_;
};

Remote* g_remote = nullptr;

int Open(const char* path) {
  v1::CallRequest request;
  request.mutable_open()->set_path(path);
  return static_cast<int>(g_remote->Make(request));
}

int Close(int fd) {
  v1::CallRequest request;
  request.mutable_close()->set_fd(fd);
  return static_cast<int>(g_remote->Make(request));
}

int Dup(int fd) {
  v1::CallRequest request;
  request.mutable_dup()->set_fd(fd);
  return static_cast<int>(g_remote->Make(request));
}

long Ioctl(int fd, uint32_t number, uint64_t argument) {
  v1::CallRequest request;
  request.mutable_ioctl()->set_fd(fd);
  request.mutable_ioctl()->set_request(number);
  request.mutable_ioctl()->set_value(argument);
  return g_remote->Make(request);
}

long IoctlBytes(int fd, uint32_t number, void* bytes, size_t size) {
  v1::CallRequest request;
  request.mutable_ioctl()->set_fd(fd);
  request.mutable_ioctl()->set_request(number);
  request.mutable_ioctl()->set_bytes(bytes, size);
  const int64_t result = g_remote->Make(request);
  if (g_remote->bytes().size() == size) std::memcpy(bytes, g_remote->bytes().data(), size);
  return result;
}

long Pread(int fd, void* bytes, size_t size, uint64_t offset) {
  v1::CallRequest request;
  request.mutable_pread()->set_fd(fd);
  request.mutable_pread()->set_size(static_cast<uint32_t>(size));
  request.mutable_pread()->set_offset(offset);
  const int64_t result = g_remote->Make(request);
  std::memcpy(bytes, g_remote->bytes().data(), std::min(size, g_remote->bytes().size()));
  return result;
}

void Unmap(uint64_t address, uint64_t size) {
  if (size == 0) return;
  v1::CallRequest request;
  request.mutable_unmap_memory()->set_address(address);
  request.mutable_unmap_memory()->set_size(size);
  if (g_remote->Make(request) < 0) Fail("UnmapMemory");
}

void Touch(uint64_t address, uint64_t size) {
  for (uint64_t offset = 0; offset < size; offset += kMaxBytes) {
    v1::CallRequest request;
    request.mutable_write_memory()->set_address(address + offset);
    request.mutable_write_memory()->set_bytes(
        std::string(std::min(kMaxBytes, size - offset), '\0'));
    if (g_remote->Make(request) < 0) Fail("WriteMemory");
  }
}

uint64_t Memory(uint64_t size, uint64_t align, int protection, int shared) {
  if (align == 0) align = 1 << 16;
  v1::CallRequest request;
  request.mutable_map_memory()->set_size(size + align);
  request.mutable_map_memory()->set_protection(protection);
  request.mutable_map_memory()->set_is_shared(shared != 0);
  const int64_t mapped = g_remote->Make(request);
  if (mapped < 0) Fail("MapMemory");
  const auto start = static_cast<uint64_t>(mapped);
  const uint64_t address = (start + align - 1) & ~(align - 1);
  Unmap(start, address - start);
  Unmap(address + size, start + align - address);
  if ((protection & PROT_WRITE) != 0) Touch(address, size);
  return address;
}

void Read(uint64_t address, void* bytes, size_t size) {
  for (size_t offset = 0; offset < size; offset += kMaxBytes) {
    const size_t count = std::min<size_t>(kMaxBytes, size - offset);
    v1::CallRequest request;
    request.mutable_read_memory()->set_address(address + offset);
    request.mutable_read_memory()->set_size(static_cast<uint32_t>(count));
    if (g_remote->Make(request) < 0) Fail("ReadMemory");
    std::memcpy(static_cast<char*>(bytes) + offset, g_remote->bytes().data(), count);
  }
}

int Fork() {
  v1::CallRequest request;
  request.mutable_fork();
  if (g_remote->Make(request) < 0) Fail("Fork");
  return 1;
}

void EndFork() {
  v1::CallRequest request;
  request.mutable_exit();
  if (g_remote->Make(request) < 0) Fail("Exit");
}

}  // namespace

const VconfCalls& RemoteCalls(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& container) {
  // As long as the process: the daemon ends the client when it is not used any more.
  g_remote = new Remote(channel, container);
  static constexpr VconfCalls kCalls = {
      .open = Open,
      .close = Close,
      .dup = Dup,
      .ioctl = Ioctl,
      .ioctl_bytes = IoctlBytes,
      .pread = Pread,
      .memory = Memory,
      .read = Read,
      .unmap = Unmap,
      .fork = Fork,
      .end_fork = EndFork,
  };
  return kCalls;
}

}  // namespace tests::conformance
