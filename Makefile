# For every make, unchanged: plain rules, explicit sources, no conditionals. `sh linux/flags`
# prints what a compiler needs on Linux to find kqueue there, and nothing elsewhere. What only
# the tests need is in tests/Makefile.

CC = cc
CFLAGS = -std=gnu99 -O2 -g -Wall -Wextra
LAYER = linux/flags linux/*.[ch] linux/sys/event.h
SERVERS = 01-blocking/server.c 02-select/server.c 03-kqueue-basic/server.c \
	04-kqueue-nonblocking/server.c 05-kqueue-timers/server.c

STEPS = step1 step2 step3 step4 step5
TRACES = build/step1-trace build/step2-trace build/step3-trace build/step4-trace \
	build/step5-trace

all: $(STEPS)

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
$(STEPS:=-trace):
	@$(MAKE) -s build/$@

$(TRACES): $(SERVERS) tools/record.h tools/trace.h tools/buffers.h $(LAYER)
	@mkdir -p build
	@n=`expr $@ : 'build/step\([1-5]\)-trace'` && set -x && \
	$(CC) $(CFLAGS) `sh linux/flags -c` -include tools/record.h \
		-c -o $@.o 0$$n-*/server.c && \
	$(CC) $(CFLAGS) -pthread `sh linux/flags` -o $@ $@.o

# The stages of TUTORIAL.md, in which the servers grow; the text is their source.
STAGES = step1.1 step1.2 step1.3 step1.4 step1.5 step1.6 step1.7 step2.1 step2.2 \
	step3.1 step3.2 step3.3 step4.1 step4.2 step4.3 step4.4 step4.5 step4.6 \
	step5.1 step5.2 step5.3 step5.4 step5.5 step5.6 step5.7

stages $(STAGES) $(STAGES:=-trace):
	@CC='$(CC)' CFLAGS='$(CFLAGS)' sh tools/stages.sh $@

# What a reader runs beside a server.
client: build/client
talk: build/talk

build/client: tools/client.c
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tools/client.c

build/talk: tools/talk.c tools/buffers.h
	@mkdir -p build
	$(CC) $(CFLAGS) -o $@ tools/talk.c

# A real run of a server, to step through in a browser: build/step1.html ...
$(STEPS:=-player): build/talk $(TRACES)
	@sh tools/record.sh build/`expr $@ : '\(step[1-5]\)'`-trace

# make exercise-3.3, mark-3.3, hint-3.3, solution-3.3, marks
include exercises/make.mk

# The tests: `make -f tests/Makefile` has more.
TESTS = $(MAKE) -f tests/Makefile CC='$(CC)' CFLAGS='$(CFLAGS)'
RESULTS = build/bench
FULL =

test programs matrix bench bench-quick test-long mutants: all client talk
	@$(TESTS) $@ RESULTS='$(RESULTS)' FULL='$(FULL)'

clean:
	rm -rf build $(STEPS) $(STAGES)

help:
	@echo 'make step1 ... step5    build one server; then ./step3 [port]'
	@echo 'make                    build all five'
	@echo 'make step3-trace        build/step3-trace prints each system call'
	@echo 'make step3.2            build a stage of TUTORIAL.md; make stages  all'
	@echo 'make step3-player       build/step3.html: a real run, call by call'
	@echo 'make exercise-3.3       begin an exercise; mark-3.3  is it right? make marks  all'
	@echo 'make client             build/client tries a running server'
	@echo 'make test               run the tests (needs bats)'
	@echo 'make test-long          the tests with chance in them, for minutes'
	@echo 'make mutants            break servers and kqueue, see tests find it'
	@echo 'make matrix             run those of the behaviour matrix, print it'
	@echo 'make bench              measure them, minutes; bench-quick  half a minute'
	@echo 'make clean              remove what was built'

.PHONY: all client talk programs test test-long mutants matrix bench bench-quick
.PHONY: clean help stages $(STAGES) $(STAGES:=-trace) $(STEPS:=-trace) $(STEPS:=-player)
