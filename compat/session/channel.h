// The session channel: what a program under the library and the daemon say to each other.
//
// A SOCK_SEQPACKET Unix socket on which the daemon listens and the program's control thread
// connects; a message is a packet of at most kMaxMessage bytes: a MessageHeader, a body of the
// layout that its kind has, and for some kinds an array behind it. Native byte order, no pointers,
// no descriptors. The program speaks first (Hello); after that the daemon asks and the program
// answers each request once, in order, and sends events when it was asked to.
//
// Neither side trusts the other: whoever receives checks sizes, counts and values before use
// (CheckMessage, then what the kind says), and ends the connection at the first message that is not
// right.
//
// Versions: both sides say theirs in every header. A side that meets another version says so
// (Goodbye) and ends the connection. Bodies never change within a version; kinds may be added, and
// a request of an unknown kind is answered with ENOSYS.
//
// What an errno in an answer means, with any kind of request: ENOENT there is no such container or
// group; ENODEV the container has no IOMMU (yet, or any more); ENODATA nothing is mapped there;
// EINVAL a value is not permitted, a range cuts a mapping, or begins above its end; EBUSY a lock is
// held, by a thread that may hang, or somebody else's dirty tracking is in force; EOPNOTSUPP the
// host's backend, or the container's type, has no such thing; ENOSPC there are more ranges than a
// host can hold; ENOMEM; EIO the kernel refused. Nothing has changed then.
#ifndef COMPAT_SESSION_CHANNEL_H_
#define COMPAT_SESSION_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace compat::session {

inline constexpr uint32_t kMagic = 0x76666373;  // "vfcs"
inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kMaxMessage = 65536;
// Where the daemon listens unless it is told otherwise.
inline constexpr char kDefaultSocket[] = "/run/vfio-compat/session.sock";

enum class Kind : uint16_t {
  // The program says.
  kHello = 1,    // Hello
  kEvents = 2,   // EventBatch, Event[]
  kGoodbye = 3,  // Goodbye; from either side

  // The daemon asks; an answer has the same kind and the request's number, with kAnswerBit.
  kPing = 16,             // nothing -> nothing
  kListContainers = 17,   // ListContainers -> ContainerList, ContainerInfo[]
  kListGroups = 18,       // nothing -> GroupList, GroupInfo[]
  kGetAddressSpace = 19,  // ContainerRef -> AddressSpaceInfo, RangeInfo[]
  kListMappings = 20,     // ListMappings -> MappingList, MappingInfo[]
  kTranslate = 21,        // Translate -> Translated
  kSubscribe = 22,        // Subscribe -> nothing
  kAct = 23,              // Act -> Acted
  kSetLimits = 24,        // SetLimits -> nothing
  kGetCounters = 25,      // nothing -> CounterList, Counter[]
  kListFaults = 26,       // nothing -> FaultList, FaultInfo[]
  kClearFaults = 27,      // nothing -> FaultList, no array
  kInjectFaults = 28,     // InjectFaults -> nothing
  kDirty = 29,            // Dirty -> DirtyAnswer, bytes
  kFindRange = 30,        // FindRange -> FoundRange, IovaLimits[]
  kListIoases = 31,       // ListContainers -> ContainerList, IoasInfo[]
};
inline constexpr uint16_t kAnswerBit = 0x8000;

struct MessageHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;     // Kind, and in answers kAnswerBit
  uint32_t size;     // of the message, this included; the packet's size
  int32_t error;     // in answers: 0 or an errno; then the body is a Refusal. Otherwise 0
  uint64_t request;  // a request's number, the daemon's choice; 0 where there is none
};

// The body of an answer with an errno.
struct Refusal {
  char reason[128];  // one line, ends with a zero
};

// Ends a connection.
struct Goodbye {
  char reason[128];  // one line, ends with a zero
};

struct Hello {
  uint64_t session;     // the process's own choice, at random, for as long as it lives
  uint64_t host;        // the same in processes that share their containers
  uint64_t start_time;  // nanoseconds of CLOCK_REALTIME: when the process began to use the library
  int32_t pid;          // in the process's own numbering
  uint32_t backend;     // 1: software, 2: kernel
  char command[256];    // program and arguments, separated by spaces; ends with a zero
};

// --- Containers and groups ---

struct ContainerRef {
  uint32_t container;  // its number
  uint32_t reserved;   // 0
};

inline constexpr uint32_t kMaxLimitRanges = 16;

struct RangeInfo {
  uint64_t first;
  uint64_t last;          // inclusive
  uint32_t kind;          // RangeKind
  uint32_t owner;         // kReserved: PciAddress number of the device, or ~0u: the IOMMU
  uint64_t detail;        // kWindow: page size in bytes
  uint64_t mapped_pages;  // kWindow
  uint64_t table_bytes;   // kWindow
};
enum class RangeKind : uint32_t { kAperture = 1, kReserved = 2, kWindow = 3 };

struct IovaLimits {
  uint64_t first;
  uint64_t last;  // inclusive
};

struct Limits {
  uint64_t mapped_bytes;   // 0: no limit
  uint32_t mapping_count;  // 0: no limit
  uint32_t range_count;    // at most kMaxLimitRanges
  uint32_t types;          // bit 1 << decode::ContainerType for each that is offered; 0: no limit
  uint32_t reserved;       // 0
  IovaLimits ranges[kMaxLimitRanges];
};

struct ListContainers {
  uint32_t after;  // containers with greater numbers; 0: from the first
  uint32_t reserved;
};
struct ContainerList {
  uint32_t count;
  uint32_t more;  // 1: there are others behind the last
};
enum ContainerFlags : uint32_t { kIsFrozen = 1u << 0, kIsRevoked = 1u << 1 };
struct ContainerInfo {
  uint32_t number;
  uint32_t type;  // decode::ContainerType
  int32_t opener;
  uint32_t flags;   // ContainerFlags
  uint64_t groups;  // a bit for each index of GroupList
  uint64_t live_mappings;
  uint64_t bytes_mapped;
  uint64_t unknown_calls;
  Limits limits;
};

// An address space of iommufd's own calls. Its number has bit 31 set, which those of containers
// never have, and stands for a container's in requests about an address space: ContainerRef,
// ListMappings, Translate, FindRange.
struct IoasInfo {
  uint32_t number;
  uint32_t context;  // counts contexts (open /dev/iommu) of the host from 1
  uint32_t object;   // its number there
  int32_t opener;    // of the context
  uint64_t groups;   // a bit for each index of GroupList: groups with a device attached to it
  uint64_t live_mappings;
  uint64_t bytes_mapped;
};
inline constexpr uint32_t kIoasBit = 1u << 31;

struct GroupList {
  uint32_t count;  // at most 64
  uint32_t reserved;
};
enum GroupFlags : uint32_t { kGroupIsFrozen = 1u << 0, kGroupIsInError = 1u << 1 };
struct GroupInfo {
  uint32_t number;
  uint32_t container;     // its number; 0: none
  uint32_t flags;         // GroupFlags
  uint32_t device_count;  // of `devices`
  char devices[8][40];    // names that end with a zero: PCI addresses, names of mediated devices
};

// --- Address spaces ---

struct AddressSpaceInfo {
  uint64_t page_sizes;
  uint64_t maps;
  uint64_t unmaps;
  uint64_t live_mappings;
  uint64_t bytes_mapped;
  uint64_t dma_read;
  uint64_t dma_written;
  uint64_t faults;
  uint32_t count;  // of the RangeInfo behind it
  uint32_t reserved;
};

struct ListMappings {
  uint32_t container;
  uint32_t reserved;
  uint64_t first;
  uint64_t last;  // inclusive
};
struct MappingList {
  uint32_t count;
  uint32_t more;  // 1: there may be others from `next` on
  uint64_t next;
};
struct MappingInfo {
  uint64_t first;
  uint64_t last;
  uint64_t user_address;
  int32_t pid;
  uint32_t access;  // ioas::Access
};

struct Translate {
  uint32_t container;
  uint32_t reserved;
  uint64_t iova;
};
struct Translated {
  MappingInfo mapping;
  uint64_t user_address;
  uint64_t contiguous;
};

// A range of `size` bytes that somebody is going to need: usable, without mappings and windows.
struct FindRange {
  uint32_t container;
  uint32_t reserved;   // 0
  uint64_t size;       // at least 1
  uint64_t alignment;  // of its first address, a power of two; 0: the smallest page
  uint64_t lowest;     // it does not begin below
  uint64_t highest;    // and does not end above
};
inline constexpr uint32_t kMaxFreeRanges = 64;
struct FoundRange {
  uint32_t is_found;     // 1: `range` is the lowest such range; 0: there is none
  uint32_t has_largest;  // 1: `largest` is the largest that begins as is asked for
  IovaLimits range;
  IovaLimits largest;
  uint64_t alignment;  // the one that was looked for
  uint32_t count;      // of the ranges behind it, at most kMaxFreeRanges: free, within the bounds
  uint32_t more;       // 1: there are others behind the last
};

// --- Events ---

enum class EventKind : uint16_t {
  kOpened = 1,
  kTypeSet = 2,        // value: decode::ContainerType
  kGroupAttached = 3,  // value: the group's number
  kGroupDetached = 4,  // value: the group's number
  kWindowCreated = 5,  // first, last
  kWindowRemoved = 6,  // first, last
  kMapped = 7,         // first, last; value: user address; access
  kUnmapped = 8,       // first, last
  kFault = 9,          // first; value: PciAddress number of the device; access
  kUnknownCall = 10,   // value: the request
  kClosed = 11,
};

struct Event {
  uint16_t kind;  // EventKind
  uint16_t access;
  uint32_t container;  // its number; 0: none
  uint64_t first;
  uint64_t last;
  uint64_t value;
};

struct EventBatch {
  uint32_t count;
  uint32_t reserved;
  uint64_t dropped;  // events that were lost before the first of these, for want of room
};

struct Subscribe {
  uint32_t kinds;  // bit 1 << EventKind for each that is wanted; 0: none any more
  uint32_t reserved;
};

// --- Actions ---

enum class Action : uint32_t { kFreeze = 1, kThaw = 2, kUnmap = 3, kRevoke = 4 };
struct Act {
  uint32_t action;     // Action
  uint32_t dry_run;    // 0 or 1
  uint32_t container;  // its number, or 0: then it is about `group`
  uint32_t group;      // its number (kFreeze and kThaw)
  uint64_t first;      // kUnmap
  uint64_t last;
};
struct Acted {
  uint64_t groups;  // those concerned: bits as in ContainerInfo::groups
  uint64_t mappings;
  uint64_t bytes;
  uint32_t was_in_force;  // 1: nothing had to change
  uint32_t reserved;
};

struct SetLimits {
  uint32_t container;  // its number; 0: containers that are opened from now on
  uint32_t dry_run;
  Limits limits;
};

// --- Counters ---

struct CounterList {
  uint32_t count;  // of the Counter behind it
  uint32_t reserved;
  // MAP_DMA, UNMAP_DMA: what a sample of the calls took together, and how many of them took more
  // than 128 << (i - 1) ns and at most 128 << i (the last bucket: or more).
  uint64_t nanoseconds[2];
  uint64_t histogram[2][32];
};
struct Counter {
  uint16_t call;   // decode::Call; 0xffff: a call that is not known
  uint16_t error;  // the errno, or 0
  uint32_t reserved;
  uint64_t count;  // since the process began to count
};

// --- Faults, on the software host ---

struct FaultList {
  uint32_t count;  // kClearFaults: how many records there were
  uint32_t reserved;
  uint64_t total;
  uint32_t refused_count;
  uint32_t reserved2;
  IovaLimits refused[kMaxLimitRanges];
};
struct FaultInfo {
  uint64_t iova;
  uint64_t count;
  uint32_t device;  // PciAddress number
  uint32_t access;
  uint32_t pasid;  // that the access named; kNoPasid: none
  uint32_t reserved;
  char reason[64];  // ends with a zero
};
inline constexpr uint32_t kNoPasid = UINT32_MAX;
struct InjectFaults {
  uint32_t count;  // at most kMaxLimitRanges
  uint32_t dry_run;
  IovaLimits ranges[kMaxLimitRanges];
};

// --- Dirty tracking ---

enum class DirtyOperation : uint32_t { kStart = 1, kStop = 2, kRead = 3 };
struct Dirty {
  uint32_t operation;  // DirtyOperation
  uint32_t dry_run;
  uint32_t container;
  uint32_t reserved;
  uint64_t first;  // kRead: answers begin there, at the next mapping
  uint64_t last;
  uint64_t page_size;  // kRead: bytes a bit; 0: the smallest page
};
struct DirtyAnswer {
  uint32_t is_exact;   // kStart: writes are recorded
  uint32_t bit_count;  // kRead: of the bytes behind it, bit i is bit i % 8 of byte i / 8
  uint64_t first;      // kRead: the IOVA of the first bit
  uint64_t page_size;
  uint64_t next;  // kRead: go on there
  uint32_t more;  // kRead: 1: there may be others from `next` on
  uint32_t reserved;
};

// Looks at what came as one packet. Returns its header, or null if it is no message: shorter than a
// header, longer than kMaxMessage, not of its own size, without the magic number. The version is
// the caller's to look at.
const MessageHeader* CheckMessage(std::span<const std::byte> packet);

// The body of a message that CheckMessage let pass, which lies in `packet`, if it is at least as
// large as a Body; otherwise null.
template <typename Body>
const Body* BodyOf(std::span<const std::byte> packet) {
  if (packet.size() < sizeof(MessageHeader) + sizeof(Body)) return nullptr;
  return reinterpret_cast<const Body*>(packet.data() + sizeof(MessageHeader));
}

// The array of `count` elements behind a body, if it is all there; otherwise an empty span.
template <typename Body, typename Element>
std::span<const Element> ArrayOf(std::span<const std::byte> packet, uint64_t count) {
  const size_t before = sizeof(MessageHeader) + sizeof(Body);
  if (packet.size() < before || count > (packet.size() - before) / sizeof(Element)) return {};
  return {reinterpret_cast<const Element*>(packet.data() + before), static_cast<size_t>(count)};
}

}  // namespace compat::session

#endif  // COMPAT_SESSION_CHANNEL_H_
