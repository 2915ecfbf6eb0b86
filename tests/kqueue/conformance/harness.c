/*
 *     kqueue_test            run every test, print TAP
 *     kqueue_test NAME...    run these; a name that ends in '_' is a group
 *     kqueue_test -1 NAME    run this one without fork(): for a debugger, and
 *                            for what the layer does until a process has forked
 *     kqueue_test -l         list the names
 */
#include "harness.h"

/* What a test's process has to say, read by its parent. Shared memory: it
   takes no descriptor, and grandchildren cannot keep it open. NULL: there is no
   parent, it is said at once. */
static char *report;
enum { REPORT_SIZE = 4096 };

char context[160];

static struct test {
    const char *name;
    test_function *run;
} tests[500];

static int count_of_tests;

void add_test(const char *name, test_function *run)
{
    if (count_of_tests == sizeof tests / sizeof tests[0])
        abort();
    tests[count_of_tests].name = name;
    tests[count_of_tests++].run = run;
}

static void say(const char *format, va_list list)
{
    size_t used;

    if (report == NULL) {
        vprintf(format, list);
        fflush(stdout);
        return;
    }
    used = strlen(report);
    vsnprintf(report + used, REPORT_SIZE - used, format, list);
}

void note(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(format, list);
    va_end(list);
}

void fail(const char *file, int line, const char *format, ...)
{
    va_list list;

    note("# %s:%d: ", file, line);
    va_start(list, format);
    say(format, list);
    va_end(list);
    if (context[0] != '\0')
        note(" [%s]", context);
    note("\n");
    _exit(FAILED); /* not exit(): other threads may be running */
}

void skip(const char *reason)
{
    if (report != NULL)
        report[0] = '\0';
    note("%s", reason);
    exit(SKIPPED);
}

void only_on(int systems, const char *reason)
{
    if ((SYSTEM & systems) == 0)
        skip(reason);
}

void not_on(int systems, const char *reason)
{
    if ((SYSTEM & systems) != 0)
        skip(reason);
}

void need_user(void)
{
    if (!HAVE_USER)
        skip("this system has no EVFILT_USER");
}

void check_equal(const char *file, int line, const char *what, intmax_t got,
                 intmax_t want)
{
    int saved = errno;

    if (got != want)
        fail(file, line, "%s: expected %jd, got %jd (errno: %s)", what, want,
             got, strerror(saved));
}

int check_system(const char *file, int line, const char *call, intmax_t result)
{
    if (result < 0)
        fail(file, line, "%s: %s", call, strerror(errno));
    return (int)result;
}

struct timespec duration(int64_t ns)
{
    struct timespec t;

    t.tv_sec = (time_t)(ns / (1000 * MS));
    t.tv_nsec = (long)(ns % (1000 * MS));
    return t;
}

void nap(int64_t ns)
{
    struct timespec t = duration(ns);

    while (nanosleep(&t, &t) == -1 && errno == EINTR)
        continue;
}

/* Sleep until the clock has passed this point. */
void pass(int64_t until)
{
    while (time_ns() < until)
        nap(until - time_ns() > 0 ? until - time_ns() : 1);
}

int64_t cpu_ns(void)
{
    struct rusage use;

    SYS(getrusage(RUSAGE_SELF, &use));
    return ((int64_t)use.ru_utime.tv_sec + (int64_t)use.ru_stime.tv_sec) *
               1000 * MS +
           ((int64_t)use.ru_utime.tv_usec + (int64_t)use.ru_stime.tv_usec) *
               1000;
}

static void run_here(const struct test *test)
{
    alarm(TEST_LIMIT);
    signal(SIGPIPE, SIG_IGN);
    test->run();
    exit(PASSED);
}

/* One test, in a process of its own. */
static bool run_test(int number, const struct test *test)
{
    int status = 0;
    pid_t child;

    memset(report, 0, REPORT_SIZE);
    fflush(stdout);
    child = fork();
    if (child == -1) {
        printf("not ok %d - %s\n# fork: %s\n", number, test->name,
               strerror(errno));
        return false;
    }
    if (child == 0)
        run_here(test);
    while (waitpid(child, &status, 0) == -1 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        printf("ok %d - %s # SKIP %s\n", number, test->name, report);
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == PASSED) {
        printf("ok %d - %s\n%s", number, test->name, report);
        return true;
    }
    printf("not ok %d - %s\n%s", number, test->name, report);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("# still running after %d seconds\n", TEST_LIMIT);
    else if (WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status) != FAILED)
        printf("# exit status %d\n", WEXITSTATUS(status));
    return false;
}

static bool selects(const char *name, const struct test *test)
{
    size_t length = strlen(name);

    if (length > 0 && name[length - 1] == '_')
        return strncmp(name, test->name, length) == 0;
    return strcmp(name, test->name) == 0;
}

static bool selected(char *const names[], const struct test *test)
{
    int i;

    for (i = 0; names[i] != NULL; i++)
        if (selects(names[i], test))
            return true;
    return names[0] == NULL;
}

static void usage(char *const names[])
{
    int i, j;

    for (i = 0; names[i] != NULL; i++) {
        for (j = 0; j < count_of_tests && !selects(names[i], &tests[j]); j++)
            continue;
        if (j == count_of_tests) {
            fprintf(stderr,
                    "kqueue_test: no test is called %s\n"
                    "usage: kqueue_test [-l | -1 NAME | NAME...]\n",
                    names[i]);
            exit(2);
        }
    }
}

int main(int argc, char *argv[])
{
    int count = 0, number = 0, failures = 0, i;

    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (i = 0; i < count_of_tests; i++)
            puts(tests[i].name);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "-1") == 0) {
        usage(argv + 2);
        for (i = 0; i < count_of_tests; i++)
            if (strcmp(argv[2], tests[i].name) == 0)
                run_here(&tests[i]);
    }
    usage(argv + 1);
    report = mmap(NULL, REPORT_SIZE, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANON, -1, 0);
    if (report == MAP_FAILED) {
        perror("kqueue_test: mmap");
        return 2;
    }
    for (i = 0; i < count_of_tests; i++)
        count += selected(argv + 1, &tests[i]);
    printf("1..%d\n", count);
    for (i = 0; i < count_of_tests; i++)
        if (selected(argv + 1, &tests[i]))
            failures += !run_test(++number, &tests[i]);
    return failures > 0;
}
