/* usage: bench_socket bare|own=DEVICE|filtered=DEVICE|set=VRF best|each|CLIENTS SOCKETS
 *
 * Each of CLIENTS processes makes SOCKETS sockets, and binds each to DEVICE itself if asked to; `filtered` does so
 * behind a seccomp filter that looks at socket's family and allows it: the least that a filter can cost which sees
 * sockets, as the kernel does not even ask one that allows a call whatever its arguments are (5.11). Prints the
 * nanoseconds from the first to the last; with `best` those that SOCKETS would take in one process if all went as
 * the quickest batch, into which no softirq fell, and without the close(2) of each; with `each` the median of all
 * sockets and their 99th percentile. Then waits for the end of stdin, so that whoever serves the sockets can be
 * looked at meanwhile. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef VRF_SET
#include <vrfshim.h>
#endif

enum { BATCH = 250 };

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void filter(void)
{
	struct sock_filter look[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof look / sizeof *look, look };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror("prctl");
		exit(1);
	}
}

static long long batch(const char *device, int count)
{
	int fds[BATCH];
	long long start = now(), taken;

	for (int i = 0; i < count; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (fds[i] < 0) {
			perror("socket");
			_exit(1);
		}
		if (device && setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)) != 0) {
			perror("setsockopt");
			_exit(1);
		}
	}
	taken = now() - start;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	return taken;
}

static long long client(const char *device, int sockets)
{
	long long taken = 0;

	for (; sockets > 0; sockets -= BATCH)
		taken += batch(device, sockets < BATCH ? sockets : BATCH);
	return taken;
}

static long long best(const char *device, int sockets)
{
	long long least = batch(device, BATCH);

	for (int made = BATCH; made < sockets; made += BATCH) {
		long long taken = batch(device, BATCH);

		least = taken < least ? taken : least;
	}
	return least * sockets / BATCH;
}

static int longer(const void *a, const void *b)
{
	long long left = *(const long long *)a, right = *(const long long *)b;

	return (left > right) - (left < right);
}

static void each(const char *device, int sockets)
{
	long long *taken = calloc(sockets, sizeof *taken);

	if (!taken) {
		perror("calloc");
		exit(1);
	}
	for (int i = 0; i < sockets; i++)
		taken[i] = batch(device, 1);
	qsort(taken, sockets, sizeof *taken, longer);
	printf("%lld %lld\n", taken[sockets / 2], taken[sockets / 100 * 99]);
	free(taken);
}

static long long clients(const char *device, int count, int sockets)
{
	long long start = now();
	int status, failed = 0;

	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			client(device, sockets);
			_exit(0);
		}
		failed |= pid < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	if (failed)
		exit(1);
	return now() - start;
}

int main(int argc, char **argv)
{
	const char *device = NULL;
	int count, sockets;

	if (argc != 4)
		return 2;
	if (strncmp(argv[1], "own=", 4) == 0)
		device = argv[1] + 4;
	if (strncmp(argv[1], "filtered=", 9) == 0) {
		device = argv[1] + 9;
		filter();
	}
#ifdef VRF_SET
	if (strncmp(argv[1], "set=", 4) == 0 && vrf_set(argv[1] + 4) != 0) {
		perror("vrf_set");
		return 1;
	}
#endif
	count = strcmp(argv[2], "best") == 0 ? 0 : atoi(argv[2]);
	sockets = atoi(argv[3]);
	client(device, 10); /* what the first sockets set up is not what each costs */
	if (strcmp(argv[2], "each") == 0)
		each(device, sockets);
	else
		printf("%lld\n", count == 0 ? best(device, sockets) : clients(device, count, sockets));
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
