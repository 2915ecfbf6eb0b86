# Draws data.txt: idle clients, then the columns of steps 2 to 5 and epoll, in
# microseconds of the server's CPU per echo. `sh tests/bench/plot.sh` calls it.

set terminal svg size 480,400 font "Helvetica,Arial,sans-serif,15"
set logscale xy
set xrange [0.08:60000]
set yrange [3:400]
set border 3 linecolor rgb "#000000"
set tics nomirror out
# 0 has no place on a logarithmic axis: it stands to the left of a gap.
set xtics ("0" 0.1, "1" 1, "10" 10, "100" 100, "1,000" 1000, "10,000" 10000)
set mxtics default
unset mxtics
set ytics (3, 5, 10, 20, 50, 100, 200)
unset mytics
set xlabel "idle clients"
set ylabel "microseconds of CPU per echo"
set grid ytics linetype 1 linewidth 0.5 linecolor rgb "#8c8c8c"
unset key
# The mark of a gap in the axis.
set arrow 1 from 0.30, graph -0.015 to 0.34, graph 0.015 nohead front
set arrow 2 from 0.36, graph -0.015 to 0.40, graph 0.015 nohead front

set style line 2 linecolor rgb "#d2561e" linewidth 3 pointtype 7 pointsize 0.8
set style line 3 linecolor rgb "#2277cc" linewidth 2 pointtype 5 pointsize 0.7
set style line 4 linecolor rgb "#2277cc" linewidth 2 dashtype (8, 4) \
  pointtype 9 pointsize 0.9
set style line 5 linecolor rgb "#2277cc" linewidth 2 dashtype (2, 4) \
  pointtype 11 pointsize 0.9
set style line 6 linecolor rgb "#808080" linewidth 2 dashtype (10, 4, 2, 4) \
  pointtype 13 pointsize 0.9

set label 1 "select" at 250, 90 right textcolor rgb "#000000"
set label 2 "(step 2)" at 250, 70 right textcolor rgb "#000000"
set label 3 "kqueue (steps 3, 4, 5)" at 55000, high * 1.25 right \
  textcolor rgb "#000000"
set label 4 "epoll" at 55000, low * 0.66 right textcolor rgb "#000000"

x(n) = n == 0 ? 0.1 : n
plot data using (x($1)):2 with linespoints linestyle 2, \
     data using (x($1)):6 with linespoints linestyle 6, \
     data using (x($1)):3 with linespoints linestyle 3, \
     data using (x($1)):4 with linespoints linestyle 4, \
     data using (x($1)):5 with linespoints linestyle 5
