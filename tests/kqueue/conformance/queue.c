/* The descriptor of a queue: read(), close(), fork(), dup(), its cost. */
#include "expect.h"
#include "helpers.h"

TEST(queue_in_itself)
{
    int kq = queue();

    only_on(LIKE_FREEBSD | OPENBSD, "these say so: kern_event.c, each");
    EXPECT_ERROR(EINVAL, kq, kq, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
}

/* How it fails differs: EOPNOTSUPP, ENXIO, EINVAL. */
TEST(queue_takes_no_bytes)
{
    int kq = queue();

    CHECK_EQUAL(read(kq, block, 1), -1);
    CHECK_EQUAL(write(kq, block, 1), -1);
}

TEST(queue_takes_one_descriptor)
{
    int next = lowest_free(), fd[2], kq;

    unix_pair(fd);
    kq = queue();
    CHECK_EQUAL(kq, next + 2);
    CHECK_EQUAL(lowest_free(), next + 3);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHECK_EQUAL(lowest_free(), next + 3);
    SYS(close(kq));
    CHECK_EQUAL(lowest_free(), next + 2);
}

/* Whatever a queue needs behind the scenes ends with it, so that a program
   may make and close queues for ever. */
TEST(queue_leaves_nothing)
{
    int next, i;

    handle(SIGUSR1, SIG_IGN);
    few_descriptors();
    for (i = 0; i < 600; i++) {
        int kq = queue();

        CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        if (HAVE_USER)
            CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
        CHANGE(kq, 0, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
        SYS(close(kq));
    }
    next = lowest_free();
    CHECK(next < 40);
}

#ifdef __linux__
static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    if (tasks == NULL)
        skip("no /proc here");
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}
#endif

TEST(queue_starts_no_thread)
{
#ifdef __linux__
    int before = count_threads(), kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
    CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(count_threads(), before);
#else
    skip("a question about emulations");
#endif
}

static void expect_empty_queue(const char *file, int line, int kq, int fd)
{
    expect_silence(file, line, kq, 0);
    expect_all_absent(kq, EV_DELETE, fd);
    expect_silence(file, line, kq, 30 * MS);
}

/* close() ends a queue; a new one of the same number knows nothing of it. */
TEST(queue_number_reused)
{
    int fd[2], kq = queue(), round;

    unix_pair(fd);
    put(fd[1], 1);
    handle(SIGUSR1, SIG_IGN);
    for (round = 0; round < 3; round++) {
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | (round ? EV_CLEAR : 0), 0, 0);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
        CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        if (HAVE_USER) {
            CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
            TRIGGER(kq, 1);
        }
        SYS(close(kq));
        CHECK_EQUAL(queue(), kq);
        SYS(kill(getpid(), SIGUSR1));
        expect_empty_queue(HERE, kq, fd[0]);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    }
}

/* The number of a closed queue may come back as anything. */
TEST(queue_number_becomes_a_socket)
{
    int kq = queue(), other, fd[2];

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    SYS(close(kq));
    unix_pair(fd);
    CHECK_EQUAL(fd[0], kq);
    EXPECT_BAD_QUEUE(kq);
    other = queue();
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 2);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 2);
}

TEST(queue_close_leaves_the_rest)
{
    int kq = queue(), other, fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    SYS(close(kq));
    put(fd[1], 1);
    take(fd[0], 1);
    other = queue();
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(other);
    put(fd[1], 1);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 1);
}

/* kqueue(2): a queue is not inherited by a child of fork(). */
TEST(queue_not_inherited)
{
    int kq = queue(), fd[2], status;
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 60000);
    child = start_child();
    if (child == 0) {
        EXPECT_BAD_QUEUE(kq);
        _exit(PASSED);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == PASSED);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
}

/* What a child does with queues of its own is no business of its parent. */
TEST(queue_of_a_child)
{
    int kq = queue(), fd[2], status;
    pid_t child;

    unix_pair(fd);
    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 300, 1);
    child = start_child();
    if (child == 0) {
        int own;

        close(kq); /* not there on a BSD */
        own = queue();
        expect_empty_queue(HERE, own, fd[0]);
        CHANGE_UDATA(own, fd[0], EVFILT_READ, EV_ADD, 0, 0, 2);
        CHANGE_UDATA(own, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10, 2);
        EXPECT_EVENT(own, 1, EVFILT_TIMER, 0, 1);
        put(fd[1], 3);
        EXPECT_EVENT(own, fd[0], EVFILT_READ, 0, 3);
        take(fd[0], 3);
        EXPECT_SILENCE(own);
        _exit(PASSED);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == PASSED);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1).udata == UDATA(1));
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(1));
}

/* A duplicate of a queue's descriptor is the same queue, as of any file. */
TEST(queue_dup)
{
    int kq = queue(), copy = SYS(dup(kq)), fd[2];

    only_on(FREEBSD | NETBSD,
            "the Linux layer says EBADF; not in the other manuals");
    unix_pair(fd);
    CHANGE(copy, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(copy, fd[0], EVFILT_READ, 0, 1);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* Whatever else a queue has opened is no business of the program: to it these
   numbers are not in use. On a BSD there are none. */
TEST(queue_hides_what_it_needs)
{
    bool before[256];
    int kq, fd;

    few_descriptors();
    handle(SIGUSR1, SIG_IGN);
    for (fd = 0; fd < 256; fd++)
        before[fd] = is_open(fd);
    kq = queue();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 100);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (fd = 0; fd < 256; fd++) {
        if (before[fd] || !is_open(fd) || fd == kq)
            continue;
        snprintf(context, sizeof context, "descriptor %d", fd);
        EXPECT_ERROR(EBADF, kq, fd, EVFILT_READ, EV_ADD, 0, 0);
        EXPECT_ERROR(EBADF, kq, fd, EVFILT_READ, EV_ENABLE, 0, 0);
        EXPECT_ERROR(EBADF, kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
        EXPECT_ERROR(EBADF, kq, fd, EVFILT_WRITE, EV_DELETE, 0, 0);
    }
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
}

/* A daemon closes all it has, opens its files, and then makes a queue. */
TEST(queue_after_closefrom)
{
    bool taken[256] = {false};
    int kq, fd, file, pair[2];
    struct stat want, got;

    few_descriptors();
    handle(SIGUSR1, SIG_IGN);
    kq = queue();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    if (HAVE_USER)
        CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
    for (fd = 3; fd < 256; fd++)
        taken[fd] = close(fd) == 0;
    file = regular_file(10);
    taken[file] = true;
    SYS(fstat(file, &want));
    for (fd = 3; fd < 256; fd++)
        if (taken[fd] && fd != file)
            SYS(dup2(file, fd));

    kq = queue();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    if (HAVE_USER) {
        CHANGE(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
        TRIGGER(kq, 1);
        EXPECT_EVENT(kq, 1, EVFILT_USER, 0, ANY);
    }
    unix_pair(pair);
    CHANGE(kq, pair[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, pair[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, pair[0], EVFILT_WRITE, 0, SOME);
    put(pair[1], 1);
    EXPECT_EVENT(kq, pair[0], EVFILT_READ, 0, 1);
    for (fd = 3; fd < 256; fd++)
        if (taken[fd]) {
            snprintf(context, sizeof context, "descriptor %d", fd);
            SYS(fstat(fd, &got));
            CHECK_EQUAL(got.st_ino, want.st_ino);
        }
}
