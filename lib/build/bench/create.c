/*
 * create DIRECTORY THREADS SECONDS PREFIX: creates empty files exclusively, with
 * names that begin with PREFIX, and prints how many it made in how many seconds.
 *
 * It is what a greylist on a shared file system is measured by: no program can
 * make entries for new clients faster than this one makes files.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *directory, *prefix;
static double end;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void *create(void *thread) {
  long count = 0;
  char path[4096];
  while (now() < end) {
    snprintf(path, sizeof path, "%s/%s.%ld.%ld", directory, prefix,
             (long)thread, count);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1 || close(fd) == -1) {
      perror(path);
      exit(1);
    }
    count++;
  }
  return (void *)count;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fputs("usage: create DIRECTORY THREADS SECONDS PREFIX\n", stderr);
    return 100;
  }
  directory = argv[1];
  prefix = argv[4];
  int threads = atoi(argv[2]);
  pthread_t ids[threads];
  double start = now();
  end = start + atof(argv[3]);
  for (long i = 0; i < threads; i++) {
    if (pthread_create(&ids[i], NULL, create, (void *)i) != 0) return 1;
  }
  long sum = 0;
  for (int i = 0; i < threads; i++) {
    void *count;
    pthread_join(ids[i], &count);
    sum += (long)count;
  }
  printf("%ld %f\n", sum, now() - start);
  return 0;
}
