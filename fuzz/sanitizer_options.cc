// What every fuzz target asks of the sanitizers, as the libraries of the system are: gRPC, Protobuf
// and Abseil are not instrumented, so that marks which their headers make in memory here are not
// taken away there. ASAN_OPTIONS changes them for one run.

extern "C" __attribute__((used, visibility("default"))) const char* __asan_default_options() {
  return "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=1";
}

// gRPC's threads come and go by themselves: one that is about to begin, and what it is given
// (gpr_malloc), is held by nothing but a register of code that is not instrumented.
extern "C" __attribute__((used, visibility("default"))) const char* __lsan_default_suppressions() {
  return "leak:grpc::ThreadManager::MainWorkLoop\nleak:gpr_malloc\n";
}
