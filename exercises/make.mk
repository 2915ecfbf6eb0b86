# The targets of the exercises; tools/exercise.sh does what they say.

EXERCISES = exercise-1.1 exercise-1.2 exercise-1.3 exercise-1.4 exercise-2.1 \
	exercise-2.2 exercise-2.3 exercise-2.4 exercise-3.1 exercise-3.2 \
	exercise-3.3 exercise-3.4 exercise-4.1 exercise-4.2 exercise-4.3 \
	exercise-4.4 exercise-4.5 exercise-4.6 exercise-4.7 exercise-5.1 \
	exercise-5.2 exercise-5.3 exercise-5.4 exercise-5.5 exercise-bug1 \
	exercise-bug2 exercise-bug3 exercise-bug4 exercise-bug5 exercise-bug6 \
	exercise-bug7 exercise-bug8 exercise-bug9 exercise-bug10 exercise-bug11 \
	exercise-bug12

MARKS = mark-1.1 mark-1.2 mark-1.3 mark-1.4 mark-2.1 \
	mark-2.2 mark-2.3 mark-2.4 mark-3.1 mark-3.2 \
	mark-3.3 mark-3.4 mark-4.1 mark-4.2 mark-4.3 \
	mark-4.4 mark-4.5 mark-4.6 mark-4.7 mark-5.1 \
	mark-5.2 mark-5.3 mark-5.4 mark-5.5 mark-bug1 \
	mark-bug2 mark-bug3 mark-bug4 mark-bug5 mark-bug6 \
	mark-bug7 mark-bug8 mark-bug9 mark-bug10 mark-bug11 \
	mark-bug12

HINTS = hint-1.1 hint-1.2 hint-1.3 hint-1.4 hint-2.1 \
	hint-2.2 hint-2.3 hint-2.4 hint-3.1 hint-3.2 \
	hint-3.3 hint-3.4 hint-4.1 hint-4.2 hint-4.3 \
	hint-4.4 hint-4.5 hint-4.6 hint-4.7 hint-5.1 \
	hint-5.2 hint-5.3 hint-5.4 hint-5.5 hint-bug1 \
	hint-bug2 hint-bug3 hint-bug4 hint-bug5 hint-bug6 \
	hint-bug7 hint-bug8 hint-bug9 hint-bug10 hint-bug11 \
	hint-bug12

SOLUTIONS = solution-1.1 solution-1.2 solution-1.3 solution-1.4 solution-2.1 \
	solution-2.2 solution-2.3 solution-2.4 solution-3.1 solution-3.2 \
	solution-3.3 solution-3.4 solution-4.1 solution-4.2 solution-4.3 \
	solution-4.4 solution-4.5 solution-4.6 solution-4.7 solution-5.1 \
	solution-5.2 solution-5.3 solution-5.4 solution-5.5 solution-bug1 \
	solution-bug2 solution-bug3 solution-bug4 solution-bug5 solution-bug6 \
	solution-bug7 solution-bug8 solution-bug9 solution-bug10 solution-bug11 \
	solution-bug12

CLASS =

$(EXERCISES) $(MARKS) $(HINTS) $(SOLUTIONS):
	@CC='$(CC)' CFLAGS='$(CFLAGS)' sh tools/exercise.sh $@

# Your own, or with CLASS=folder those of a class: a folder a student.
marks:
	@CC='$(CC)' CFLAGS='$(CFLAGS)' sh tools/exercise.sh marks '$(CLASS)'

.PHONY: marks $(EXERCISES) $(MARKS) $(HINTS) $(SOLUTIONS)
