/*
 * kqueue() and kevent(), checked: changes that are made or refused, events that
 * come, and silence.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "harness.h"

#define ANY       INT64_MIN       /* any data will do */
#define SOME      (INT64_MIN + 1) /* any data of at least 1 */
#define ANY_FLAGS (~0u)

int queue(void);
int call(int kq, const struct kevent *changes, int nchanges,
         struct kevent *events, int nevents, const struct timespec *timeout);
int collect(int kq, struct kevent *events, int nevents, int64_t ns);

struct kevent entry(uintptr_t ident, filter_t filter, unsigned flags,
                    unsigned fflags, int64_t data, int udata);
const char *filter_name(filter_t filter);
const char *describe(char text[200], const struct kevent *ev);

void expect_change(const char *file, int line, int error, int kq,
                   struct kevent change);
struct kevent expect_event(const char *file, int line, bool patient, int kq,
                           uintptr_t ident, filter_t filter, unsigned flags,
                           int64_t data);
void expect_silence(const char *file, int line, int kq, int64_t ns);
void expect_idle(const char *file, int line, int kq);
void expect_entry(const char *file, int line, const struct kevent *ev,
                  struct kevent change, int error);
void expect_bad_queue(const char *file, int line, int kq);
void expect_all_absent(int kq, unsigned action, int fd);

#define ENTRY(ident, filter, flags, fflags, data, udata) \
    entry((uintptr_t)(ident), (filter_t)(filter), flags, fflags, data, udata)
#define CHANGE_UDATA(kq, ident, filter, flags, fflags, data, udata) \
    expect_change(HERE, 0, kq, ENTRY(ident, filter, flags, fflags, data, udata))
#define CHANGE(kq, ident, filter, flags, fflags, data) \
    CHANGE_UDATA(kq, ident, filter, flags, fflags, data, 0)
#define EXPECT_ERROR(error, kq, ident, filter, flags, fflags, data) \
    expect_change(HERE, error, kq, ENTRY(ident, filter, flags, fflags, data, 0))
#define EXPECT_ABSENT(kq, ident, filter) \
    EXPECT_ERROR(ENOENT, kq, ident, filter, EV_DELETE, 0, 0)
#define TRIGGER(kq, ident) CHANGE(kq, ident, EVFILT_USER, 0, NOTE_TRIGGER, 0)

/* The next event must be this one. */
#define EXPECT_EVENT(kq, ident, filter, flags, data)                      \
    expect_event(HERE, false, kq, (uintptr_t)(ident), (filter_t)(filter), \
                 flags, data)
/* So it must, but its bytes may still be on their way. */
#define AWAIT_EVENT(kq, ident, filter, flags, data)                      \
    expect_event(HERE, true, kq, (uintptr_t)(ident), (filter_t)(filter), \
                 flags, data)
#define EXPECT_SILENCE(kq)              expect_silence(HERE, kq, 0)
#define EXPECT_IDLE(kq)                 expect_idle(HERE, kq)
#define EXPECT_ENTRY(ev, change, error) expect_entry(HERE, ev, change, error)
#define EXPECT_BAD_QUEUE(kq)            expect_bad_queue(HERE, kq)

#endif
