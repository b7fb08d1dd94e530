/* Makes a process that is stopped (SIGSTOP) for a while believe that its host was suspended meanwhile: CLOCK_MONOTONIC has stood
 * still for as many nanoseconds as the file named by SLEPT_FILE says, CLOCK_BOOTTIME and the wall clock have gone on. That is what
 * suspend(9) is to a process. Preloaded by clocks.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile const long long *slept;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("SLEPT_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *slept, PROT_READ, MAP_SHARED, file, 0);
    if (!real || mapped == MAP_FAILED)
        abort();
    close(file);
    slept = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = real ? real(clock, at) : -1;
    if (result == 0 && slept && clock == CLOCK_MONOTONIC) {
        long long nanos = at->tv_sec * 1000000000LL + at->tv_nsec - *slept;
        at->tv_sec = nanos / 1000000000LL;
        at->tv_nsec = nanos % 1000000000LL;
    }
    return result;
}
