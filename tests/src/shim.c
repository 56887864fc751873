/* Loaded into a daemon (LD_PRELOAD): makes its fsyncs slow or fail and its wall clock wrong, by what a file says at the
   moment: three 64-bit integers, microseconds added to each fsync, seconds added to the wall clock, and how many of the
   next fsyncs fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *control;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CHAOS_SHIM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *at = mmap(NULL, 3 * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		control = at;
}

static void delay(void)
{
	int64_t us = control ? control[0] : 0;
	if (us > 0)
		usleep(us);
}

static int broken(void)
{
	if (!control || control[2] <= 0 || __sync_fetch_and_sub(&control[2], 1) <= 0)
		return 0;
	errno = EIO;
	return 1;
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	delay();
	return broken() ? -1 : real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	delay();
	return broken() ? -1 : real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int said = real(clock, now);
	if (said == 0 && control && clock == CLOCK_REALTIME)
		now->tv_sec += control[1];
	return said;
}
