/*
 * Files of every kind, other processes and threads, and a knote of each filter.
 */
#ifndef HELPERS_H
#define HELPERS_H

#include "expect.h"

extern char block[65536];

void put(int fd, int n);
void take(int fd, int n);
void await_bytes(int fd, int n);
void nonblocking(int fd);
void fill(int fd);
void drain(int fd);

void unix_pair(int fd[2]);
int tcp_listener(struct sockaddr_in *address);
int tcp_connect(const struct sockaddr_in *address);
void tcp_pair(int fd[2]);
struct sockaddr_in dead_address(int type);
int socket_error(int fd);
int regular_file(int size);
void tty_pair(int fd[2]);
int lowest_free(void);
void few_descriptors(void);
void take_all_descriptors(void);
void give_some_descriptors(void);

pid_t start_child(void);
void stop_child(pid_t child);
int status_of(pid_t child);
pid_t start_signaller(int number, bool again);
void start_thread(pthread_t *thread, void *(*function)(void *), void *argument);

/* How many times handler() has run. */
extern volatile sig_atomic_t handled;
void handler(int number);
void handle_with(int number, void (*function)(int), int flags);
void handle(int number, void (*function)(int));

/* Five knotes, one of each filter, whose events are at hand. */
enum { KINDS = 5 };

struct kind {
    uintptr_t ident;
    filter_t filter;
    int64_t data;
};
void kinds_make(struct kind kind[KINDS], int fd[2]);
void kinds_fire(int kq, const struct kind *kind, const int fd[2]);

/* Loop over the filters; each gets a queue of its own. */
#define EACH_KIND(kind, fd, body)                        \
    do {                                                 \
        struct kind kinds[KINDS];                        \
        int nth, fd[2];                                  \
                                                         \
        kinds_make(kinds, fd);                           \
        for (nth = 0; nth < KINDS - !HAVE_USER; nth++) { \
            const struct kind *kind = &kinds[nth];       \
            int kq = queue();                            \
                                                         \
            strcpy(context, filter_name(kind->filter));  \
            body(kq, kind, fd);                          \
            drain(fd[0]);                                \
            SYS(close(kq));                              \
        }                                                \
    } while (0)

#define KIND(kq, k, flags, udata) \
    CHANGE_UDATA(kq, (k)->ident, (k)->filter, flags, 0, (k)->data, udata)
#endif
