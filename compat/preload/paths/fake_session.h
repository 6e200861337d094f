// A session for the tests of the file system view: the fake inventory's devices, and descriptors
// that are nothing but themselves.
#ifndef COMPAT_PRELOAD_PATHS_FAKE_SESSION_H_
#define COMPAT_PRELOAD_PATHS_FAKE_SESSION_H_

#include "compat/vfs/inventory.h"

namespace compat::preload {

// Makes a descriptor that shows itself as "anon_inode:[vfio-device]".
int OpenFakeDevice();

// What EmulatedDevices() returns; the fake inventory at the start, and for null.
void SetInventory(const vfs::Inventory* chosen);

// Whether Configured() says so. True at the start, unless the environment variable
// VFIO_COMPAT_TEST_OFF is set.
void SetConfigured(bool configured);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_FAKE_SESSION_H_
