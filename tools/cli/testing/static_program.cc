// A statically linked program: LD_PRELOAD means nothing to it.
int main() { return 0; }
