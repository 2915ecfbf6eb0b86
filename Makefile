# For GNU make 3.81 and 4, bmake and OpenBSD's make unchanged: plain rules,
# explicit sources, no conditionals. `sh linux/flags` prints what a
# compiler needs on Linux to find kqueue there, and nothing elsewhere.

CC = cc
CFLAGS = -std=gnu99 -O2 -g -Wall -Wextra
LAYER = linux/flags linux/kqueue.c linux/sys/event.h

all: step1 step2 step3 step4 step5

step1: 01-blocking/server.c
	$(CC) $(CFLAGS) -o $@ 01-blocking/server.c

step2: 02-select/server.c
	$(CC) $(CFLAGS) -o $@ 02-select/server.c

step3: 03-kqueue-basic/server.c $(LAYER)
	$(CC) $(CFLAGS) -o $@ 03-kqueue-basic/server.c `sh linux/flags`

step4: 04-kqueue-nonblocking/server.c $(LAYER)
	$(CC) $(CFLAGS) -o $@ 04-kqueue-nonblocking/server.c `sh linux/flags`

step5: 05-kqueue-timers/server.c $(LAYER)
	$(CC) $(CFLAGS) -o $@ 05-kqueue-timers/server.c `sh linux/flags`

# The same servers, with each system call printed in words.

step1-trace: build/step1-trace
step2-trace: build/step2-trace
step3-trace: build/step3-trace
step4-trace: build/step4-trace
step5-trace: build/step5-trace

TRACED = tools/record.h tools/trace.h tools/buffers.h
TRACE = $(CC) $(CFLAGS) `sh linux/flags -c` -include tools/record.h -c -o $@.o
LINK = $(CC) $(CFLAGS) -pthread `sh linux/flags` -o $@ $@.o

build/step1-trace: 01-blocking/server.c $(TRACED) $(LAYER)
	@mkdir -p build
	$(TRACE) 01-blocking/server.c
	$(LINK)

build/step2-trace: 02-select/server.c $(TRACED) $(LAYER)
	@mkdir -p build
	$(TRACE) 02-select/server.c
	$(LINK)

build/step3-trace: 03-kqueue-basic/server.c $(TRACED) $(LAYER)
	@mkdir -p build
	$(TRACE) 03-kqueue-basic/server.c
	$(LINK)

build/step4-trace: 04-kqueue-nonblocking/server.c $(TRACED) $(LAYER)
	@mkdir -p build
	$(TRACE) 04-kqueue-nonblocking/server.c
	$(LINK)

build/step5-trace: 05-kqueue-timers/server.c $(TRACED) $(LAYER)
	@mkdir -p build
	$(TRACE) 05-kqueue-timers/server.c
	$(LINK)

# A story on each, recorded: build/stepN.html, to step through in a browser.
step1-player step2-player step3-player step4-player step5-player: build/talk
	@step=$@; step=$${step%-player}; $(MAKE) -s $$step-trace && \
		sh tools/record.sh build/$$step-trace

client: build/client

build/client: tools/client.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tools/client.c

build/kqueue_test: tests/kqueue_test.c $(LAYER)
	@mkdir -p build
	$(CC) $(CFLAGS) -pthread -o $@ tests/kqueue_test.c `sh linux/flags`

build/talk: tools/talk.c tools/buffers.h
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tools/talk.c

build/badserver: tests/badserver.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/badserver.c

build/hostile: tests/hostile.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/hostile.c

build/soak: tests/soak.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/soak.c

build/model_test: tests/model_test.c $(LAYER)
	@mkdir -p build
	$(CC) $(CFLAGS) -pthread -o $@ tests/model_test.c `sh linux/flags`

# Linux only: they use LD_PRELOAD and /proc.
build/faultrun: tests/faultrun.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/faultrun.c

build/faults.so: tests/faults.c
	@mkdir -p build
	$(CC) $(CFLAGS) -fPIC -shared -o $@ tests/faults.c -ldl

# What the tests need beside the servers and the client.
programs: build/kqueue_test build/talk build/badserver build/hostile build/soak
programs: build/model_test

test: all client programs
	@sh tests/run

# Those that try at random, for some minutes.
test-long: all client programs
	@LONG=1 sh tests/run tests/faults.bats tests/hostile.bats tests/model.bats \
		tests/signals.bats tests/soak.bats

# The table of what each step can do, from the tests of its cells.
matrix: all build/talk
	@sh tests/matrix

build/load: tests/bench/bench.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/bench/bench.c

# Linux only, like epoll(7).
build/epoll: tests/bench/epoll.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tests/bench/epoll.c

# Measures the servers. `make bench RESULTS=tests/bench/results` renews the
# figures that the text quotes.
RESULTS = build/bench
BENCH = CC='$(CC)' CFLAGS='$(CFLAGS)' sh tests/bench/run

bench: all build/load
	@case `uname -s` in Linux) $(MAKE) -s build/epoll ;; esac
	@$(BENCH) full $(RESULTS)

bench-quick: all build/load
	@case `uname -s` in Linux) $(MAKE) -s build/epoll ;; esac
	@$(BENCH) quick $(RESULTS)

clean:
	rm -rf build step1 step2 step3 step4 step5

help:
	@echo 'make step1 ... step5    build one server; then ./step3 [port]'
	@echo 'make                    build all five'
	@echo 'make step3-trace        build/step3-trace prints each system call'
	@echo 'make step3-player       a real run of it, to step through in a browser'
	@echo 'make client             build/client tries a running server'
	@echo 'make test               run the tests (needs bats)'
	@echo 'make test-long          the tests with chance in them, for minutes'
	@echo 'make matrix             run those of the behaviour matrix, print it'
	@echo 'make bench              measure them, minutes; bench-quick: half a one'
	@echo 'make clean              remove what was built'

.PHONY: all client programs test test-long matrix bench bench-quick clean help
.PHONY: step1-trace step2-trace step3-trace step4-trace step5-trace
.PHONY: step1-player step2-player step3-player step4-player step5-player
