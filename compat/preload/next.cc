#include "compat/preload/next.h"

#include <dlfcn.h>

namespace compat::preload {

void* ResolveNext(const char* name) { return dlsym(RTLD_NEXT, name); }

}  // namespace compat::preload
