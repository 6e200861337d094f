/* A statically linked program: LD_PRELOAD means nothing to it. */
int main(void) { return 0; }
