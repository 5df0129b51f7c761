/* Look one name up many times at once, as musl's resolver does it: all name servers in parallel. */
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *name;
static int count;
static atomic_int misses;

static void *look(void *unused) {
	(void)unused;
	for (int i = 0; i < count; i++) {
		struct addrinfo *found = 0, hints = {.ai_socktype = SOCK_STREAM};
		if (getaddrinfo(name, 0, &hints, &found))
			misses++;
		else
			freeaddrinfo(found);
	}
	return 0;
}

int main(int argc, char **argv) {
	enum { THREADS = 20 };
	pthread_t threads[THREADS];
	if (argc != 3)
		return 2;
	name = argv[1];
	count = atoi(argv[2]) / THREADS;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, look, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], 0);
	printf("%d misses\n", misses);
}
