/* EVFILT_READ on regular files, and on /dev/null. */
#include "expect.h"
#include "helpers.h"

/* kqueue(2): while not at its end, data is what is left (it may be negative).
 */
TEST(read_regular_file)
{
    int kq = queue(), fd = regular_file(100);

    CHANGE_UDATA(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 6);
    CHECK(EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 100).udata == UDATA(6));
    take(fd, 30);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 70);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 70);
    take(fd, 70);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    CHANGE(kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, fd, EVFILT_READ);
}

TEST(read_growing_file)
{
    int kq = queue(), fd = regular_file(10);

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    take(fd, 10);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(pwrite(fd, block, 7, 10), 7);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 7);
}

/* EV_ADD asks again, also for what EV_CLEAR has told. */
TEST(read_file_again)
{
    int kq = queue(), fd = regular_file(10);

    CHANGE(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 10);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 10);
    EXPECT_SILENCE(kq);
}

TEST(read_file_and_socket)
{
    int kq = queue(), file = regular_file(10), fd[2];
    struct kevent ev[4];

    unix_pair(fd);
    CHANGE(kq, file, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, file, EVFILT_READ, 0, 10);
    EXPECT_SILENCE(kq); /* EV_CLEAR: nothing new */
    CHANGE(kq, file, EVFILT_READ, EV_DELETE, 0, 0);
    CHANGE(kq, file, EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    CHECK_EQUAL(collect(kq, ev, 4, LIMIT_MS * MS), 2);
    CHANGE(kq, file, EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
    SYS(close(file));
    EXPECT_SILENCE(kq);
}

TEST(read_dev_null)
{
    int kq = queue(), fd = SYS(open("/dev/null", O_RDWR));
    struct kevent change = ENTRY(fd, EVFILT_READ, EV_ADD, 0, 0, 0);

    if (call(kq, &change, 1, NULL, 0, NULL) == -1 && SYSTEM != LINUX)
        skip("this system's null(4) cannot be watched");
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    CHANGE(kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    SYS(close(fd));
    EXPECT_SILENCE(kq);
}
