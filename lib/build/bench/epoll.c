/*
 * epoll DIRECTORY: defers SMTP clients on 127.0.0.1, prints the port that it
 * listens on, and writes a line about each client to standard error.
 *
 * It is what the processor time of serve is measured by: one event loop that makes
 * the system calls of a session that is deferred (accept, statx, the exclusive
 * creation of an entry, four sends and receives, one line of a log), and does as
 * little as possible besides. It has no timeouts and no limits.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLIENTS = 4096, EVENTS = 256, LINE = 512 };

static struct client {
  char address[INET_ADDRSTRLEN];
  char line[LINE];
  size_t length;
} clients[CLIENTS];

static const char *directory;
static int poll_fd;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Looks for the client's entry, and creates it if there is none. */
static void check(const struct sockaddr_in *from) {
  unsigned net = ntohl(from->sin_addr.s_addr);
  char path[4096];
  snprintf(path, sizeof path, "%s/%u.%u.%u.0_24", directory, net >> 24,
           net >> 16 & 255, net >> 8 & 255);
  struct statx entry;
  if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &entry) == 0) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd == -1) fail(path);
  close(fd);
}

static void say(int fd, const char *text) {
  if (send(fd, text, strlen(text), MSG_NOSIGNAL) == -1 && errno == EINVAL) {
    fail("send");
  }
}

static void begin(int listener) {
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  int fd = accept4(listener, (struct sockaddr *)&from, &size,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd == -1) return;
  if (fd >= CLIENTS) {
    close(fd);
    return;
  }
  struct client *client = &clients[fd];
  client->length = 0;
  inet_ntop(AF_INET, &from.sin_addr, client->address, sizeof client->address);
  check(&from);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) == -1) fail("epoll_ctl");
  say(fd, "220 mx.example ESMTP\r\n");
}

static void end(int fd) {
  char line[LINE];
  int length = snprintf(line, sizeof line,
                        "info defer ip=%s reason=new wait=3600 "
                        "helo=client.example from=a@client.example "
                        "to=b@mx.example\n",
                        clients[fd].address);
  if (write(2, line, length) == -1) exit(1);
  close(fd);
}

/* Answers one command, and tells whether it was the last. */
static int answer(int fd, const char *line) {
  if (strncasecmp(line, "QUIT", 4) == 0) {
    say(fd, "221 2.0.0 mx.example\r\n");
    return 1;
  }
  say(fd, strncasecmp(line, "RCPT", 4) == 0
              ? "451 4.7.1 Greylisted, please try again later\r\n"
              : "250 2.1.0 Ok\r\n");
  return 0;
}

static void hear(int fd) {
  struct client *client = &clients[fd];
  ssize_t count = recv(fd, client->line + client->length,
                       LINE - 1 - client->length, 0);
  if (count <= 0) {
    end(fd);
    return;
  }
  client->length += count;
  client->line[client->length] = 0;
  char *line = client->line, *next;
  while ((next = strchr(line, '\n')) != NULL) {
    if (answer(fd, line)) {
      end(fd);
      return;
    }
    line = next + 1;
  }
  client->length = strlen(line);
  memmove(client->line, line, client->length);
  if (client->length == LINE - 1) end(fd);
}

int main(int argc, char **argv) {
  if (argc != 2) return 100;
  directory = argv[1];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in name = {
      .sin_family = AF_INET,
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  socklen_t size = sizeof name;
  if (bind(listener, (struct sockaddr *)&name, size) == -1) fail("bind");
  if (listen(listener, 1024) == -1) fail("listen");
  getsockname(listener, (struct sockaddr *)&name, &size);
  printf("%d\n", ntohs(name.sin_port));
  fflush(stdout);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) begin(fd);
      else hear(fd);
    }
  }
}
