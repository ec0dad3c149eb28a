# SPDX-License-Identifier: Apache-2.0
#
# The demo's table in tools/doc/measurements.md as a picture: gnuplot tools/doc/interruptions.gp
# (in the root of the checkout). The numbers are those of one run of tools/demo; a new run's table goes there first.
set terminal svg size 860,300 font "sans-serif,13" background "white"
set output "tools/doc/interruptions.svg"
# A row is: what happened, then through, why, ICMP, TCP; columns are two spaces apart. Without a number nothing was lost.
rows = "<sed -n '/what happened/,/^$/p' tools/doc/measurements.md | grep -v -e 'what happened' -e '----' -e 'agent starts'" \
     . " | sed -e '/^$/d' -e 's/^  *//' -e 's/   */;/g' -e 's/ ms//g' -e 's/;- *$/;0/' -e 's/;-;/;0;/'" \
     . " | awk -F';' '{print NR \";\" $1 \";\" $(NF-1) \";\" $NF}'"
set datafile separator ";"
set title "For how long traffic to the storage stands still (window 1 s)"
set xlabel "ms"
set logscale x
set xrange [0.8:4000]
set yrange [5.6:0.4]
set style fill solid 0.85 noborder
set boxwidth 0.3
set grid xtics lc rgb "#dddddd"
set border 3
set tics nomirror
set key outside right top
bar(ms) = ms > 0 ? ms : 0.8
said(ms) = ms > 0 ? sprintf(" %d", ms) : " none"
plot rows using (bar($3)):($1-0.17):(0.8):(bar($3)):($1-0.32):($1-0.02):ytic(2) with boxxyerrorbars lc rgb "#3465a4" title "ICMP", \
     rows using (bar($4)):($1+0.17):(0.8):(bar($4)):($1+0.02):($1+0.32) with boxxyerrorbars lc rgb "#f57900" title "TCP", \
     rows using (bar($3)):($1-0.17):(said($3)) with labels left notitle, \
     rows using (bar($4)):($1+0.17):(said($4)) with labels left notitle
