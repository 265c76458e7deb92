/* usage: bench_use connect|send|sendto|tcp|other COUNT
 *
 * Uses a socket COUNT times, and prints the nanoseconds that this would take if all went as the quickest batch, into
 * which no softirq fell: a UDP socket that connects, that sends to its peer, that sends to an address; a TCP connection
 * that is made, greeted and closed; or another system call, which no filter has to look at. Nobody answers the
 * datagrams. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in silent = { .sin_family = AF_INET }, echo = { .sin_family = AF_INET };
static int fd;

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int use_connect(void)
{
	return connect(fd, (struct sockaddr *)&silent, sizeof silent);
}

static int use_send(void)
{
	return send(fd, "x", 1, 0) != 1;
}

static int use_sendto(void)
{
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&silent, sizeof silent) != 1;
}

static int use_tcp(void)
{
	char greeting[16];
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	int failed = connect(tcp, (struct sockaddr *)&echo, sizeof echo) != 0 || read(tcp, greeting, sizeof greeting) <= 0;

	return close(tcp) != 0 || failed;
}

static int use_other(void)
{
	return syscall(SYS_getppid) < 0;
}

static long long batch(int (*use)(void), int count)
{
	long long start = now();

	for (int i = 0; i < count; i++) {
		if (use() != 0) {
			perror("use");
			exit(1);
		}
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	int (*use)(void) = use_tcp;
	int count, size = 100;
	long long least;

	if (argc != 3)
		return 2;
	count = atoi(argv[2]);
	silent.sin_port = htons(9);
	echo.sin_port = htons(7);
	/* An address behind the gateway that nobody has. */
	inet_pton(AF_INET, "192.0.2.99", &silent.sin_addr);
	inet_pton(AF_INET, "192.0.2.80", &echo.sin_addr);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (strcmp(argv[1], "connect") == 0) {
		use = use_connect;
	} else if (strcmp(argv[1], "send") == 0) {
		use = use_send;
		use_connect();
	} else if (strcmp(argv[1], "sendto") == 0) {
		use = use_sendto;
	} else if (strcmp(argv[1], "other") == 0) {
		use = use_other;
	} else {
		size = 10;
	}
	least = batch(use, size); /* and what the first ones set up */
	for (int done = size; done < count; done += size) {
		long long taken = batch(use, size);

		least = taken < least ? taken : least;
	}
	printf("%lld\n", least * count / size);
	return 0;
}
