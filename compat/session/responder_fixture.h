// A responder on a software host, to be asked as a daemon would.
#ifndef COMPAT_SESSION_RESPONDER_FIXTURE_H_
#define COMPAT_SESSION_RESPONDER_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/events/events.h"
#include "compat/session/responder.h"
#include "compat/session/testing/message.h"
#include "compat/soft/test_host.h"

namespace compat::session {

class ResponderTest : public ::testing::Test {
 protected:
  using Message = testing::Message;
  using TestHost = soft::TestHost;

  ~ResponderTest() override {
    events::AfterForkInChild();
    munmap(memory_, kBytes);
  }

  // The answer; an empty message if the connection is to end.
  Message Answer(const Message& request) {
    std::vector<std::byte> answer(kMaxMessage);
    answer.resize(responder_.Answer(request.bytes(), answer));
    return Message(std::move(answer));
  }
  template <typename Body>
  Message Ask(Kind kind, const Body& body) {
    return Answer(Message(kind, body, 77));
  }
  template <typename Body>
  int ErrorOf(Kind kind, const Body& body) {
    const Message answer = Ask(kind, body);
    return answer.IsRight() ? answer.header().error : -1;
  }
  uint64_t address() const { return reinterpret_cast<uint64_t>(memory_); }
  long MapAt(int container, uint64_t iova, uint64_t size) {
    abi::DmaMap map = {.argsz = sizeof(abi::DmaMap),
                       .flags = abi::kDmaMapFlagRead,
                       .vaddr = address(),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container, abi::kIommuMapDma, &map);
  }
  std::vector<ContainerInfo> Containers() {
    const Message answer = Ask(Kind::kListContainers, ListContainers{});
    return answer.elements<ContainerList, ContainerInfo>(answer.body<ContainerList>().count);
  }
  std::vector<MappingInfo> Mappings(uint64_t first, uint64_t last) {
    const Message answer =
        Ask(Kind::kListMappings,
            ListMappings{.container = 1, .reserved = 0, .first = first, .last = last});
    return answer.elements<MappingList, MappingInfo>(answer.body<MappingList>().count);
  }

  static constexpr size_t kBytes = 1 << 20;
  void* memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TestHost host_;
  Responder responder_{host_.host(), -1};
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_RESPONDER_FIXTURE_H_
