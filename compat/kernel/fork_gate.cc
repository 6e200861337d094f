#include "compat/kernel/fork_gate.h"

#include <pthread.h>

namespace compat::kernel {
namespace {

pthread_mutex_t g_gate = PTHREAD_MUTEX_INITIALIZER;

}  // namespace

void HoldForkGate() { pthread_mutex_lock(&g_gate); }
void ReleaseForkGate() { pthread_mutex_unlock(&g_gate); }

}  // namespace compat::kernel
