// Files that programs poll for events of the software IOMMU: the descriptor of each is an unnamed
// token box, readable while there is a token in it. What the events are lies in the arena.
//
// It is a datagram socket with an abstract name. So poll() and epoll work as with any descriptor;
// any process of the host can put the token in by the name, and needs no descriptor for it; nobody
// keeps one hidden, so that no death takes events away; the name ends with the last descriptor,
// which is how the end of the file is noticed; and the name tells what a descriptor is that was
// received. Whoever guesses a name can make a descriptor readable, and nothing more.
#ifndef IOAS_SOFT_EVENT_FILE_H_
#define IOAS_SOFT_EVENT_FILE_H_

#include <cstdint>
#include <optional>

#include "ioas/base/result.h"

namespace ioas::soft {

// What the abstract name is made of.
struct EventFileName {
  uint64_t key;     // the network namespace, and random bits
  uint32_t number;  // its user's
};

// A name that nobody else has.
EventFileName NewEventFileName(uint32_t number);

// Opens the file `name`, which is not open: a descriptor that does not wait. EMFILE, ENFILE,
// ENOMEM, EADDRINUSE.
Result<int> OpenEventFile(const EventFileName& name, bool close_on_exec);

// The name of `fd`; nothing if it is no event file.
std::optional<EventFileName> NameOfEventFile(int fd);

// Whether a descriptor of `name` is open in any process. In another network namespace than that
// where it was opened, which cannot tell: yes.
bool IsEventFileOpen(const EventFileName& name);

// Makes the descriptors of `name` readable, if there are any. They may stay as they are where this
// process may not have a socket for a moment.
void MakeReadable(const EventFileName& name);
// Takes all that makes `fd`, an event file, readable out of it.
void MakeUnreadable(int fd);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_EVENT_FILE_H_
