/* A wait costs no CPU time, and what waits beside it costs nothing. */
#include "expect.h"
#include "helpers.h"

TEST(wait_idle_with_disabled_knotes)
{
    int kq = queue(), fd[2], gone[2];

    unix_pair(fd);
    unix_pair(gone);
    put(fd[1], 1);
    SYS(close(gone[1])); /* a hang-up, which no mask keeps out of epoll */
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, gone[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, gone[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    EXPECT_IDLE(kq);
}

TEST(wait_idle_after_delivery)
{
    static const unsigned kinds[] = {EV_CLEAR, EV_DISPATCH, EV_ONESHOT};
    int i;

    for (i = 0; i < 3; i++) {
        int kq = queue(), fd[2];

        snprintf(context, sizeof context, "flags %#x", kinds[i]);
        unix_pair(fd);
        put(fd[1], 1);
        SYS(close(fd[1]));
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | kinds[i], 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 1);
        EXPECT_IDLE(kq);
    }
}

/* Many idle descriptors must not make a call dearer. */
static int crowd_queue(int others)
{
    int kq = queue(), idle[2];

    unix_pair(idle);
    while (others-- > 0) {
        int fd = dup(idle[0]);

        if (fd == -1)
            break;
        CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    }
    return kq;
}

static int64_t cost_of_waits(int kq, const int fd[2])
{
    int64_t best = INT64_MAX;
    int round, i;

    for (round = 0; round < 5; round++) {
        int64_t cpu = cpu_ns(), took;

        for (i = 0; i < 2000; i++) {
            put(fd[1], 1);
            EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
            take(fd[0], 1);
        }
        took = cpu_ns() - cpu;
        best = took < best ? took : best;
    }
    return best;
}

static int64_t cost_of_changes(int kq, const int fd[2])
{
    int64_t best = INT64_MAX;
    int round, i;

    for (round = 0; round < 5; round++) {
        int64_t cpu = cpu_ns(), took;

        for (i = 0; i < 2000; i++) {
            CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
            CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
        }
        took = cpu_ns() - cpu;
        best = took < best ? took : best;
    }
    return best;
}

static void compare_costs(int64_t (*cost_of)(int kq, const int fd[2]))
{
    struct rlimit limit;
    int fd[2], kq, i;
    int64_t cost[2];

    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max < 3000 ? limit.rlim_max : 3000;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
    unix_pair(fd);
    for (i = 0; i < 2; i++) {
        kq = crowd_queue(i == 0 ? 2 : (int)limit.rlim_cur - 200);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
        cost[i] = cost_of(kq, fd);
    }
    note("# %jd us with 2 idle descriptors, %jd us with %jd\n",
         (intmax_t)cost[0] / 1000, (intmax_t)cost[1] / 1000,
         (intmax_t)limit.rlim_cur - 200);
    CHECK(cost[1] < 5 * cost[0] + 5 * MS);
}

TEST(wait_cost_is_flat)
{
    compare_costs(cost_of_waits);
}

TEST(change_cost_is_flat)
{
    compare_costs(cost_of_changes);
}

/* A descriptor is closed while a child has it too, again and again. */
static int64_t cost_of_closing(int kq, const int unused[2])
{
    int64_t best = INT64_MAX;
    int round, i, fd[2];

    (void)unused;
    for (round = 0; round < 3; round++) {
        int64_t cpu = cpu_ns(), took;

        for (i = 0; i < 20; i++) {
            int copy;

            unix_pair(fd);
            CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
            copy = SYS(dup(fd[0]));
            SYS(close(fd[0]));
            put(fd[1], 1);
            EXPECT_SILENCE(kq);
            SYS(close(copy));
            SYS(close(fd[1]));
        }
        took = cpu_ns() - cpu;
        best = took < best ? took : best;
    }
    return best;
}

TEST(close_cost_is_flat)
{
    compare_costs(cost_of_closing);
}

/* Files that wait to be returned cost a call nothing, nor a timer's end. */
TEST(wait_beside_files)
{
    enum { FILES = 150, TIMES = 2000 };
    int64_t cost[2], cpu = 0;
    struct kevent ev;
    int kq = queue(), fd[2], file = regular_file(10), i, turn;

    few_descriptors();
    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    for (turn = 0; turn < 2; turn++) {
        cost[turn] = INT64_MAX;
        for (i = 0; i < 5 * TIMES; i++) {
            if (i % TIMES == 0)
                cpu = cpu_ns();
            CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
            CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
            CHECK_EQUAL(collect(kq, &ev, 1, 0), 1);
            if (i % TIMES == TIMES - 1 && cpu_ns() - cpu < cost[turn])
                cost[turn] = cpu_ns() - cpu;
        }
        for (i = 0; i < FILES && turn == 0; i++)
            CHANGE(kq, SYS(dup(file)), EVFILT_READ, EV_ADD, 0, 0);
    }
    note("# %jd us beside none, %jd us beside %d files\n",
         (intmax_t)cost[0] / 1000, (intmax_t)cost[1] / 1000, FILES);
    CHECK(cost[1] < 4 * cost[0]);
}
