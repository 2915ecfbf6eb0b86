# What bats says (TAP), in words for who solves an exercise; mark.bats's checks.
#
#     awk -v id=3.3 -v total=6 -v result=FILE -f exercises/lib/report.awk TAP
#
# Of the first check that fails it prints what the check said. Writes "4 6" into
# the result, and exits with 0 if all passed. A check that is missing, since the
# time was up or the marker was killed, has not passed.

/^ok / {
  skip = sub(/ # skip.*/, "") ? "  (not on this system)" : ""
  sub(/^ok [0-9]+ /, "")
  print "  ok       " $0 skip
  passed++
  seen++
  shown = 0
}
/^not ok / {
  sub(/^not ok [0-9]+ /, "")
  print "  not yet  " $0
  shown = !failed
  failed++
  seen++
}
/^# the time is up/ {
  print "  not yet  all of it:" substr($0, 2)
  next
}
/^#/ && shown {
  # Where in mark.bats it was is for who maintains that; bash says whom the mark killed.
  if (/^# *\(?(in test file|from function|in file) / || /^# *`.*' failed/ || /: line [0-9]+: +[0-9]+ Killed /)
    next
  if (++lines <= 24)
    print "           " substr($0, 3, 300) (length($0) > 302 ? " ..." : "")
}
END {
  # setup_file failed: bats says no more than that.
  if (seen < total)
    print "  not yet  " total - seen " more, which did not run to their end"
  if (passed == total)
    print id " passed"
  else
    print id " not yet: " passed + 0 " of " total
  print passed + 0, total > result
  exit passed != total
}
